"""Schedules under the Trainer: rows, gradients, optimizer state, resume."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer
from hf_mtl.data.learners.pike import PiKE
from hf_mtl.errors import CheckpointError
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.trainers import make, parameters, records, same
from tests.training.watching import encoder_of, heads_of, watched

SWITCH = {"type": "mt2st_switch", "main": "topic", "at": {"step": 3}}


@pytest.mark.parametrize("freed_rows", ["drop", "redistribute"])
def test_after_the_switch_the_other_tasks_have_no_rows_and_their_heads_stay_bit_for_bit(
    tmp_path: Path, freed_rows: str
) -> None:
    trainer, watch = watched(tmp_path, schedules=[{**SWITCH, "freed_rows": freed_rows}], weighting="uw")
    assert records(trainer, "share/topic")[3:] == [1.0] * 5
    assert records(trainer, "coefficient/mood") == [0.0] * 5  # logged once it is not 1
    for before, after in pairwise(watch.after[2:]):
        assert same(heads_of(before, "mood", "score"), heads_of(after, "mood", "score"))
        assert not same(heads_of(before, "topic"), heads_of(after, "topic"))
    assert not same(heads_of(watch.after[0], "mood"), heads_of(watch.after[2], "mood"))
    passes = records(trainer, "passes/topic")
    rows = [round((b - a) * 30) for a, b in pairwise(passes)]
    assert (min(rows[2:]) == 8) if freed_rows == "redistribute" else (max(rows[2:]) < 8)


def test_dropping_rows_leaves_the_main_tasks_part_of_the_objective_as_it_was(tmp_path: Path) -> None:
    gradients = []
    for schedules in ([], [{**SWITCH, "at": 0.0}]):
        trainer = make(
            tmp_path / str(len(schedules)),
            schedules=schedules,
            optim="sgd",
            max_steps=1,
            max_grad_norm=0,
            learning_rate=0.5,
        )
        before = parameters(trainer)
        trainer.train()
        after = parameters(trainer)
        gradients.append({name: after[name] - before[name] for name in heads_of(before, "topic")})
    for name, update in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], update, rtol=1e-4, atol=1e-8)


def test_the_switch_freezes_lower_layers_and_scales_the_learning_rate(tmp_path: Path) -> None:
    trainer, watch = watched(
        tmp_path, schedules=[{**SWITCH, "freeze": 1, "lr_scale": 0.25}], lr_scheduler_type="constant"
    )
    frozen = {
        name
        for name in encoder_of(watch.after[0])
        if name.startswith(("encoder.embeddings", "encoder.encoder.layer.0"))
    }
    assert frozen <= watch.graded[2]
    assert not frozen & watch.graded[3]
    for name in frozen:
        assert torch.equal(watch.after[2][name], watch.after[-1][name])
    assert watch.rates == pytest.approx([1e-3] * 3 + [2.5e-4] * 5)
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {1e-3}
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())


SPECS: dict[str, dict[str, Any]] = {
    "switch": {"schedules": [SWITCH]},
    "phases": {"schedules": [{"type": "alternating", "period": 3}], "weighting": "uw"},
    "sampling": {"schedules": [{"type": "mt2st_diminish", "main": "topic", "realise": "sampling", "eta": 2.0}]},
    "adaptive": {"schedules": [{"type": "mt2st_adaptive", "main": "topic", "every": 2}]},
    "fisher": {"schedules": [{"type": "mt2st_adaptive", "main": "topic", "signal": "fisher", "every": 3}]},
    "feedback": {
        "schedules": [{"type": "mt2st_feedback", "main": "topic", "patience": 1, "warmup_checks": 0, "min_delta": 9}],
        "eval_strategy": "steps",
        "eval_steps": 1,
    },
    "temperature": {"mixture": {"learn": {"every": 2, "lr": 5.0}}},
    "looks": {"mixture": {"learn": {"type": "pike", "every": 3}}},
    "looks in phases": {
        "mixture": {"learn": {"type": "pike", "every": 2}},
        "schedules": [{"type": "alternating", "period": 3}, SWITCH],
    },
    "phases and switch": {"schedules": [{"type": "alternating", "period": 3}, SWITCH], "weighting": "uw"},
}


@pytest.mark.parametrize(
    "name", some_fast(SPECS, "adaptive", "feedback", "looks in phases", "temperature", "phases and switch")
)
@pytest.mark.parametrize("step", some_fast([2, 5], 2))
def test_a_resumed_run_goes_on_in_the_same_bits(tmp_path: Path, name: str, step: int) -> None:
    options = {"max_steps": 10, "save_strategy": "steps", "save_steps": 1, "window_steps": 4, **SPECS[name]}
    if name == "temperature":
        options |= {"max_steps": 34, "window_steps": 3, "save_steps": step + 24}
        step = step + 24
    whole = make(tmp_path, model=tiny.model(dropout=0.1), **options)
    whole.train()
    resumed = make(tmp_path / "resumed", model=tiny.model(dropout=0.1, seed=8), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
    assert same(parameters(resumed), parameters(whole))
    assert resumed.state.total_flos == whole.state.total_flos
    for key in ("share/mood", "coefficient/mood"):
        mine = records(resumed, key)
        assert mine == records(whole, key)[-len(mine) :]


TO_A_REGRESSION = {"schedules": [{**SWITCH, "main": "score"}]}


@pytest.mark.slow  # in the fast tests: tests/training/test_schedules_partition.py
@pytest.mark.parametrize("spec", [*SPECS.values(), TO_A_REGRESSION], ids=[*SPECS, "to a regression"])
def test_accumulation_does_not_change_what_schedules_do(tmp_path: Path, spec: dict[str, Any]) -> None:
    runs = []
    for size, accumulation in ((8, 1), (1, 8)):  # where rows are dropped, some micro-batches have none
        options = {"max_steps": 8, "window_steps": 2, "optim": "sgd", "learning_rate": 0.1, **spec}
        batches = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
        trainer = make(tmp_path / str(size), **options, **batches)
        before = parameters(trainer)
        trainer.train()
        runs.append({key: value - before[key] for key, value in parameters(trainer).items()})
    flat = [torch.cat([value.flatten() for value in run.values()]) for run in runs]
    assert flat[0].norm() > 0
    assert (flat[0] - flat[1]).norm() / flat[0].norm() < 1e-4


def test_an_absent_tasks_optimizer_state_rests(tmp_path: Path) -> None:
    class Moments(TrainerCallback):
        trainer: MultiTaskTrainer
        seen: list[dict[str, dict[str, torch.Tensor]]]

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            named = [*self.trainer.model.named_parameters(), *self.trainer.weighting.named_parameters()]
            found = {name: self.trainer.optimizer.state.get(parameter, {}) for name, parameter in named}
            self.seen.append({name: {k: v.clone() for k, v in state.items()} for name, state in found.items()})

    watch = Moments()
    watch.seen = []
    options: dict[str, Any] = {"max_steps": 6, "optim": "adamw_torch", "callbacks": [watch]}
    trainer = make(tmp_path, model=tiny.model(head="vip"), schedules=[SWITCH], weighting="uw", **options)
    watch.trainer = trainer
    trainer.train()
    before, after = watch.seen[2], watch.seen[5]
    absent = [name for name in before if "task_mood" in name or "task_score" in name]
    assert any("log_tau" in name for name in absent)
    for name in absent:
        assert same(before[name], after[name]), name
        assert int(after[name]["step"]) == 3
    [s] = [name for name in before if not name.startswith(("encoder", "heads"))]
    for moment in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(before[s][moment][1:], after[s][moment][1:])
        assert not torch.equal(before[s][moment][0], after[s][moment][0])


def test_an_absent_tasks_running_statistics_rest(tmp_path: Path) -> None:
    trainer, seen = make(tmp_path, model=tiny.model(head="vmtl"), schedules=[SWITCH], max_steps=6), []

    class Statistics(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append({name: value.clone() for name, value in trainer.model.named_buffers() if "moments" in name})

    trainer.add_callback(Statistics())
    trainer.train()
    assert same(heads_of(seen[2], "mood", "score"), heads_of(seen[5], "mood", "score"))
    assert not same(heads_of(seen[2], "topic"), heads_of(seen[5], "topic"))


def test_the_log_says_what_the_schedules_did(tmp_path: Path) -> None:
    schedules = [{"type": "alternating", "period": 2}, {**SWITCH, "lr_scale": 0.5}]
    trainer, _ = watched(tmp_path, schedules=schedules, lr_scheduler_type="constant")
    assert records(trainer, "frozen/encoder") == [1, 1, 0, 0, 1, 1, 0, 0]
    assert records(trainer, "frozen/heads") == [0, 0, 1, 1, 0, 0, 1, 1]
    assert records(trainer, "learning_rate") == pytest.approx([1e-3] * 3 + [5e-4] * 5)
    spent = records(trainer, "flops")
    assert spent == sorted(spent)
    assert spent[-1] == trainer.state.total_flos


def test_a_task_that_sits_out_by_chance_has_coefficient_zero_in_the_log(tmp_path: Path) -> None:
    fades = {
        "type": "mt2st_diminish",
        "main": "topic",
        "realise": "sampling",
        "eta": 1.0,
        "freed_rows": "redistribute",
    }
    trainer, _ = watched(tmp_path, schedules=[fades], max_steps=24)
    coefficients = records(trainer, "coefficient/mood")
    assert set(coefficients) == {0.0, 1.0}
    shares = records(trainer, "share/mood")[-len(coefficients) :]
    assert all(share == 0 for share, coefficient in zip(shares, coefficients, strict=True) if coefficient == 0)


def test_only_the_runs_own_evaluations_count(tmp_path: Path) -> None:
    feedback = {"type": "mt2st_feedback", "main": "topic", "patience": 1, "warmup_checks": 0}
    options: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    trainer = make(tmp_path, schedules=[feedback], eval_on_start=True, **options)
    [schedule] = trainer.schedules.schedules
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    assert schedule.checks == 3  # at steps 0, 2 and 4
    resumed = make(tmp_path, schedules=[feedback], eval_on_start=True, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.schedules.schedules[0].state_dict() == schedule.state_dict()


def test_an_evaluation_that_is_not_finite_teaches_nothing(tmp_path: Path) -> None:
    """A validation loss of nan would be the best one for ever, or stay in a mean."""
    feedback = {"type": "mt2st_feedback", "main": "topic", "patience": 1, "warmup_checks": 0}
    learned = {"mixture": {"learn": {"objective": "worst"}}, "weighting": "ew"}
    trainer = make(tmp_path, schedules=[feedback], eval_strategy="steps", eval_steps=1, max_steps=12, **learned)
    callback, learner = trainer.scheduling, trainer.mixture.learner
    assert learner is not None
    callback.begin(trainer.args, step=1)
    states = []
    for wrong in (float("nan"), float("inf")):
        before = [*map(repr, (callback.schedules.state_dict(), learner.state_dict()))]
        keys = [f"eval_{task}_{key}" for task in tiny.TASKS for key in ("loss", "accuracy", "f1_macro", "pearson")]
        callback.observe_evaluation(1, dict.fromkeys(keys, wrong))
        states.append([*map(repr, (callback.schedules.state_dict(), learner.state_dict()))] == before)
    assert states == [True, True]
    callback.observe_evaluation(1, {"eval_topic_loss": 2.0})
    assert callback.schedules.schedules[0].state_dict()["best"] == 2.0


def test_a_longer_run_moves_what_lies_at_a_fraction_of_it(tmp_path: Path) -> None:
    options: dict[str, Any] = {"schedules": [{**SWITCH, "at": 0.5}], "window_steps": 2, "save_strategy": "steps"}
    make(tmp_path, max_steps=4, save_steps=1, **options).train()
    resumed = make(tmp_path, max_steps=12, save_steps=100, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert records(resumed, "share/topic").index(1.0) == 6
    assert resumed.state.global_step == 12


def test_workers_that_fetch_ahead_do_not_see_what_schedules_decide_later(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "schedules": [{"type": "mt2st_adaptive", "main": "topic", "every": 3}, SPECS["feedback"]["schedules"][0]],
        "mixture": {"learn": {"every": 3, "lr": 5.0}},
        "eval_strategy": "steps",
        "eval_steps": 13,
        "window_steps": 12,
        "max_steps": 38,
    }
    alone = make(tmp_path / "0", **options)
    helped = make(tmp_path / "2", dataloader_num_workers=2, **options)
    for trainer in (alone, helped):
        trainer.train()
    assert same(parameters(alone), parameters(helped))
    for key in ("coefficient/mood", "temperature/mood", "share/mood"):
        assert records(alone, key) == records(helped, key)
        assert len(set(records(alone, key))) > 1


def test_a_learner_looks_at_the_rows_to_come_of_the_tasks_that_take_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = [{"type": "leave", "task": "mood", "at": {"step": 4}}, {"type": "alternating", "period": 2}]
    learn = {"learn": {"objective": "pike", "every": 3}}
    trainer = make(tmp_path, mixture=learn, schedules=schedules, window_steps=2, max_steps=8)
    asked: list[dict[str, list[int]]] = []
    look = trainer.scheduling.prober.look

    def noted(rows: Any) -> Any:
        asked.append({task: mine.tolist() for task, mine in rows.items()})
        assert all(parameter.requires_grad for parameter in trainer.model.parameters()), "in a phase of the heads too"
        return look(rows)

    monkeypatch.setattr(trainer.scheduling.prober, "look", noted)
    trainer.train()
    assert [list(rows) for rows in asked] == [["topic", "mood", "score"], ["topic", "score"]]
    assert {task: len(rows) for task, rows in asked[0].items()} == {"topic": 16, "mood": 12, "score": 16}
    learner = trainer.mixture.learner
    assert isinstance(learner, PiKE)
    assert learner.looks.tolist() == [2, 1, 2]
    assert set(records_with(trainer, "gradient_signal/")) == {f"gradient_signal/{task}" for task in tiny.TASKS}


def records_with(trainer: Any, start: str) -> list[str]:
    return [key for record in trainer.state.log_history for key in record if key.startswith(start)]


def test_evaluations_are_no_part_of_a_run_whose_mixture_follows_gradients(tmp_path: Path) -> None:
    options: dict[str, Any] = {"mixture": {"learn": "pike"}, "save_strategy": "steps", "save_steps": 2}
    make(tmp_path, max_steps=4, **options).train()
    resumed = make(tmp_path, max_steps=4, eval_strategy="steps", eval_steps=1, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.state.global_step == 4
    other = make(tmp_path, max_steps=4, **{**options, "mixture": {"learn": {"type": "pike", "zeta1": 0.2}}})
    with pytest.raises(CheckpointError, match="mixture.learn"):
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
