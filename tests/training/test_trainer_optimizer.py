"""Who is trained, and how fast."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from hf_mtl.errors import CheckpointError
from hf_mtl.modeling import MultiTaskModel, split_parameters
from tests import tiny
from tests.training.trainers import make, parameters, same


def test_encoder_heads_and_balancing_have_their_own_learning_rates(tmp_path: Path) -> None:
    rates: dict[str, Any] = {"learning_rate": 1e-4, "head_learning_rate": 2e-3, "balancing_learning_rate": 5e-2}
    trainer = make(tmp_path, weighting="uw", weight_decay=0.1, **rates)
    groups = trainer.create_optimizer().param_groups
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    encoder, heads = split_parameters(trainer.model)
    assert len(found) == sum(len(group["params"]) for group in groups) == len(encoder) + len(heads) + 1
    for named, rate in ((encoder, 1e-4), (heads, 2e-3)):
        for name, parameter in named:
            decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else 0.1
            assert found[id(parameter)] == (rate, decay), name
    assert found[id(next(trainer.weighting.parameters()))] == (5e-2, 0.0)


def own_rates(**kwargs: Any) -> MultiTaskModel:
    """The tiny model, whose `mood` and `score` ask for rates."""
    own = {"mood": 7e-3, "score": 0.0}
    tasks = {name: tiny.TASKS[name].model_copy(update={"head_learning_rate": rate}) for name, rate in own.items()}
    return tiny.model(tasks={**tiny.TASKS, **tasks}, **kwargs)


@pytest.mark.parametrize("all_heads", [None, 2e-3])
def test_a_tasks_head_has_its_own_rate_and_the_others_the_one_of_all_heads(
    tmp_path: Path, all_heads: float | None
) -> None:
    options: dict[str, Any] = {"learning_rate": 1e-4, "weight_decay": 0.1, "head_learning_rate": all_heads}
    # A shared latent, and log tau, which belongs to what balances.
    heads = {"topic": "vip", "mood": "vip", "score": "hierarchical"}
    model = own_rates()
    tasks = {name: task.model_copy(update={"head": heads[name]}) for name, task in model.tasks.items()}
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), weighting="uw", balancing_learning_rate=0.5, **options)
    groups = trainer.create_optimizer().param_groups
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    everything = [*trainer.model.parameters(), *trainer.weighting.parameters()]
    assert len(found) == sum(len(group["params"]) for group in groups) == len(everything)
    auxiliary = {id(parameter) for parameter in trainer.model.heads.auxiliary_parameters()}
    rates = {"task_topic": all_heads or 1e-4, "task_mood": 7e-3, "task_score": 0.0, "shared_1": all_heads or 1e-4}
    seen = set()
    for name, parameter in split_parameters(trainer.model)[1]:
        part = name.split(".")[1]
        seen.add(part)
        rate, decay = found[id(parameter)]
        assert rate == (0.5 if id(parameter) in auxiliary else rates[part]), name
        assert decay == (0.0 if name.endswith("bias") or id(parameter) in auxiliary else 0.1), name
    assert seen == set(rates)


def test_a_head_with_a_rate_of_zero_stays_and_the_others_move(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=own_rates(), weight_decay=0.1)
    before = parameters(trainer)
    trainer.train()
    after = parameters(trainer)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in moved if name.startswith("heads.")} == {"task_topic", "task_mood"}
    assert any(name.startswith("encoder.") for name in moved)


def test_the_step_of_a_head_is_its_rate_times_its_gradient(tmp_path: Path) -> None:
    sgd: dict[str, Any] = {"optim": "sgd", "lr_scheduler_type": "constant", "max_steps": 1, "learning_rate": 1e-3}
    trainers = [make(tmp_path, model=model, max_grad_norm=0.0, **sgd) for model in (tiny.model(), own_rates())]
    moves = []
    for trainer in trainers:
        before = parameters(trainer)
        trainer.train()
        moves.append({name: value - before[name] for name, value in parameters(trainer).items()})
    for name, move in moves[0].items():
        factor = 7.0 if "task_mood" in name else 0.0 if "task_score" in name else 1.0
        torch.testing.assert_close(moves[1][name], factor * move, rtol=1e-3, atol=1e-7)


def test_a_run_with_rates_of_tasks_resumes_in_the_same_bits_and_refuses_others(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optim": "adamw_torch", "save_strategy": "steps", "save_steps": 2, "weighting": "uw"}
    whole = make(tmp_path, model=own_rates(), **options)
    whole.train()
    resumed = make(tmp_path, model=own_rates(), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(whole))
    with pytest.raises(CheckpointError, match="model.tasks"):
        make(tmp_path, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_without_rates_of_their_own_everything_has_the_learning_rate(tmp_path: Path) -> None:
    trainer = make(tmp_path, weighting="uw", learning_rate=3e-4)
    assert {group["lr"] for group in trainer.create_optimizer().param_groups} == {3e-4}


@pytest.mark.parametrize("rates", [{}, {"head_learning_rate": 1e-2}])
@pytest.mark.parametrize("make_model", [tiny.model, own_rates])
def test_the_schedule_ends_every_rate_at_zero(
    tmp_path: Path, rates: dict[str, Any], make_model: Callable[[], MultiTaskModel]
) -> None:
    trainer = make(tmp_path, model=make_model(), weighting="uw", max_steps=2, **rates)
    trainer.train()
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.0] * len(trainer.optimizer.param_groups)


def test_clipping_neither_sees_nor_touches_s(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        "learning_rate": 1.0,
        "max_grad_norm": 1e-6,
    }
    trainer = make(tmp_path, weighting="uw", max_steps=1, balancing_learning_rate=0.1, **options)
    before = parameters(trainer)
    trainer.train()
    record = trainer.state.log_history[0]
    after = parameters(trainer)
    moved = torch.stack([(after[name] - before[name]).norm() for name in before]).norm()
    assert float(moved) <= 1.1e-6 < record["grad_norm"], "the model's gradient was clipped"
    expected = []
    for name, a in (("topic", 1.0), ("mood", 1.0), ("score", 0.5)):  # s starts at 0
        exposure = 3 * record[f"share/{name}"]
        expected.append(-0.1 * exposure * (0.5 - a * record[f"loss/{name}"]))
    (s,) = trainer.weighting.parameters()
    assert s.tolist() == pytest.approx(expected, rel=1e-6)

    # The logged norm is that of the model's gradients alone.
    plain = make(tmp_path, weighting={"name": "fixed", "weights": [1.0, 1.0, 0.5]}, max_steps=1, **options)
    plain.train()
    assert plain.state.log_history[0]["grad_norm"] == pytest.approx(record["grad_norm"], rel=1e-6)


class Watch(TrainerCallback):
    """Keeps the parameters before and after each step, and which tasks the step had."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, dict[str, torch.Tensor], dict[str, torch.Tensor]]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.before = {name: value.detach().clone() for name, value in model.named_parameters()}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        after = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.steps.append((state.global_step - 1, self.before, after))


def test_heads_of_absent_tasks_are_not_touched(tmp_path: Path) -> None:
    watch = Watch()
    mixture: dict[str, Any] = {"one_task_per_step": True, "temperature": "uniform"}
    trainer = make(
        tmp_path,
        mixture=mixture,
        callbacks=[watch],
        max_steps=8,
        weight_decay=0.1,
        learning_rate=1e-2,
        window_steps=8,
    )
    counts = [trainer.steps.plan(step).counts for step in range(8)]
    trainer.train()
    seen = set()
    for step, before, after in watch.steps:
        (task,) = [name for name, count in zip(tiny.TASKS, counts[step], strict=True) if count]
        seen.add(task)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        heads = {name.split(".")[1] for name in changed if name.startswith("heads.")}
        assert any(name.startswith("encoder.") for name in changed)
        assert len(heads) == 1, (task, changed)
        assert task in next(iter(heads))
    assert len(seen) == 3, "every task had a step"


def test_adamax_trains_and_resumes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optim": "adamax", "adam_beta1": 0.8, "save_strategy": "steps", "save_steps": 2}
    trainer = make(tmp_path, **options)
    trainer.train()
    optimizer = trainer.optimizer.optimizer
    assert type(optimizer) is torch.optim.Adamax
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.999)
    resumed = make(tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(trainer))


def test_an_absent_tasks_s_does_not_move(tmp_path: Path) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Watch(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            seen.append((trainer.objective.absent.clone(), trainer.weighting.s.detach().clone()))

    trainer = make(
        tmp_path,
        weighting="uw",
        mixture={"one_task_per_step": True, "temperature": "uniform"},
        callbacks=[Watch()],
        max_steps=12,
        learning_rate=0.01,
        optim="adamw_torch",  # whose momentum would move it
    )
    trainer.train()
    moved = 0
    for (_, before), (absent, after) in itertools.pairwise(seen):
        assert torch.equal(after[absent], before[absent])
        moved += int((after[~absent] != before[~absent]).sum())
    assert moved == 11
