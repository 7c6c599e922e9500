"""A run of which nothing can come stops and says so; steps that are merely skipped do not stop it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import TrainerCallback
from transformers.trainer_callback import TrainerState

from hf_mtl import MultiTaskModel
from hf_mtl.errors import DivergedError
from hf_mtl.processes import Processes
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.watch.finite import PATIENCE, PATIENCE_WITH_SCALER, FiniteWatch, refuse_broken_scores
from tests import tiny
from tests.training.trainers import make

NAN, INF = math.nan, math.inf


def result(losses: list[float], counts: list[int] | None = None, **penalties: float) -> StepResult:
    zero = torch.zeros(len(losses), dtype=torch.float64)
    numbers = torch.tensor([1] * len(losses) if counts is None else counts)
    found = {(task, "kl"): torch.tensor(value) for task, value in penalties.items()}
    return StepResult(torch.tensor(losses, dtype=torch.float64), numbers, numbers, zero, zero, zero, zero, found)


def watch(folder: Path, *weights: Tensor) -> FiniteWatch:
    named = nn.ParameterDict({f"w{place}": nn.Parameter(value) for place, value in enumerate(weights)})
    return FiniteWatch(["a", "b"], {"": named}, Processes(), folder)


def test_a_loss_that_is_not_finite_for_some_steps_in_a_row_ends_the_run(tmp_path: Path) -> None:
    found = watch(tmp_path, torch.ones(2))
    found.observe(1, result([1.0, NAN]))
    found.observe(2, result([NAN, 1.0]))  # b has recovered
    for step in range(3, PATIENCE + 1):
        found.observe(step, result([0.0, 1.0], counts=[0, 1]))  # a is absent: nothing is known of it
        found.check(step)
    for step in range(20, 19 + PATIENCE):
        found.check(step - 1)
        found.observe(step, result([INF, 1.0]))
    with pytest.raises(DivergedError, match="the loss of 'a' is not finite since step 2. There is no checkpoint"):
        found.check(step)


def test_a_penalty_counts_as_a_part_of_its_tasks_loss(tmp_path: Path) -> None:
    found = watch(tmp_path)
    for step in range(1, PATIENCE + 1):
        found.observe(step, result([1.0, 1.0], b=NAN))
    with pytest.raises(DivergedError, match="the loss of 'b' is not finite since step 1"):
        found.check(PATIENCE)


def test_a_task_that_was_never_finite_is_given_up_at_the_end(tmp_path: Path) -> None:
    found = watch(tmp_path)
    found.observe(1, result([1.0, NAN]))
    found.check(1)
    with pytest.raises(DivergedError, match="'b' is not finite since step 1"):
        found.check(1, last=True)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_weights_that_are_not_finite_end_the_run_at_once(tmp_path: Path, value: float) -> None:
    for step in (3, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    large = torch.full((3,), 1e38, dtype=torch.bfloat16)  # whose sum of squares is not finite
    found = watch(tmp_path, torch.tensor([1.0, value, 2.0]), large, torch.zeros(0))
    found.observe(7, result([1.0, NAN]))
    with pytest.raises(DivergedError) as caught:
        found.check(9)
    assert str(caught.value).startswith(
        "training has diverged: the loss of 'b' is not finite since step 7; 1 of 3 weights are not finite after "
        f"step 9, such as w0. The last checkpoint before that is kept: {tmp_path / 'checkpoint-3'}. Lower "
    )


def test_a_checkpoint_written_after_losses_went_bad_is_not_called_one_from_before(tmp_path: Path) -> None:
    for step in (5, 10, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
    found = watch(tmp_path, torch.ones(1))
    for step in range(13, 13 + PATIENCE):
        found.observe(step, result([1.0, NAN]))
        found.observe_update(step, skipped=True, scaled=False)
    with pytest.raises(DivergedError, match=f"since step 13. The last .* kept: {tmp_path / 'checkpoint-10'}[.] "):
        found.check(step)


def test_a_model_whose_last_update_broke_it_is_given_up(tmp_path: Path) -> None:
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
    state = TrainerState(log_history=[{"eval_loss": 1.0, "step": 2}, {"eval_loss": NAN, "step": 4}, {"step": 4}])
    refuse_broken_scores({"a": {"loss": 1.0}}, state, tmp_path)
    with pytest.raises(DivergedError) as caught:
        refuse_broken_scores({"a": {"loss": 1.0}, "b": {"loss": NAN}}, state, tmp_path)
    assert str(caught.value).startswith(
        "training has diverged: the validation losses of 'b' are not finite in the end. The last checkpoint before "
        f"that is kept: {tmp_path / 'checkpoint-2'}. Lower "
    )


class Poison(TrainerCallback):
    """Spoils one weight after a step, as an overflow does."""

    def __init__(self, step: int, name: str):
        self.step, self.name = step, name

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == self.step:
            with torch.no_grad():
                dict(model.named_parameters())[self.name].view(-1)[0] = NAN


@pytest.mark.parametrize(
    "name", ["encoder.embeddings.word_embeddings.weight", "heads.task_mood.head.classifier.weight"]
)
def test_the_last_good_checkpoint_is_kept_and_no_bad_one_written(tmp_path: Path, name: str) -> None:
    model = tiny.model(head="linear")
    name = next(
        key for key in dict(model.named_parameters()) if key.startswith(name.removesuffix("classifier.weight"))
    )
    trainer = make(
        tmp_path,
        model=model,
        max_steps=12,
        save_strategy="steps",
        save_steps=2,
        save_total_limit=1,
        logging_steps=4,
        eval_strategy="steps",
        eval_steps=2,
        callbacks=[Poison(6, name)],
    )
    with pytest.raises(DivergedError, match="weights are not finite after step") as caught:
        trainer.train()
    assert f"is kept: {tmp_path / 'checkpoint-4'}" in str(caught.value)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]
    kept = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-4")
    assert all(bool(torch.isfinite(value).all()) for value in kept.parameters())


@pytest.mark.parametrize(
    ("aggregator", "found"),
    [(None, "the loss of 'topic' is not finite since step 2;"), ("pcgrad", "every step was skipped, since step 2.")],
)
def test_a_run_that_neither_logs_nor_saves_stops_too(tmp_path: Path, aggregator: str | None, found: str) -> None:
    balancing = {"weighting": None, "aggregator": aggregator}
    trainer = make(tmp_path, balancing=balancing, learning_rate=1e30, max_steps=12, logging_strategy="no")
    with pytest.raises(DivergedError, match=found):
        trainer.train()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("scaled", "limit"), [(False, PATIENCE), (True, PATIENCE_WITH_SCALER)])
def test_some_skipped_steps_do_not_stop_a_run_many_in_a_row_do(tmp_path: Path, scaled: bool, limit: int) -> None:
    found = watch(tmp_path)
    for step in [1, 2, 2, 3, *range(5, 4 + limit)]:
        found.observe_update(step, skipped=True, scaled=scaled)
        found.check(step)
        if step == 3:
            found.observe_update(4, skipped=False, scaled=scaled)
    found.observe_update(4 + limit, skipped=True, scaled=scaled)
    with pytest.raises(DivergedError, match="every step was skipped, since step 5"):
        found.check(4 + limit)
