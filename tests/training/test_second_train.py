"""A second `train` of one Trainer, from the same weights, is the same run as the first."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from hf_mtl import MultiTaskTrainer
from hf_mtl.schedules import SCHEDULES as OF_SCHEDULES
from hf_mtl.training.trainer import step_trainer
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.step.test_task_gradients import TRAINED, know_the_beginning, of
from tests.training.trainers import make, parameters, same

EVERY = {"window_steps": 2, "learning_rate": 3e-3, "max_steps": 5}
WATCHING = {"eval_strategy": "steps", "eval_steps": 1}
SECTIONS = {
    **{name: of(name) for name in TRAINED},
    "uw+pcgrad": {"weighting": "uw", "aggregator": "pcgrad"},
    "nash_mtl, every 3": {"weighting": None, "aggregator": {"name": "nash_mtl", "every": 3}},
}
# Of the methods that keep something from step to step, one of each kind.
REMEMBERING = ("db_mtl", "famo", "gradnorm", "uw+pcgrad", "nash_mtl, every 3")
SCHEDULES: dict[str, dict[str, Any]] = {
    "mt2st_feedback": {"main": "topic", "action": "decay", "patience": 1, "warmup_checks": 0, "min_delta": 0.5},
    "mt2st_feedback, training": {"main": "topic", "signal": "training", "patience": 1, "min_delta": 0.5},
    "mt2st_adaptive": {"main": "topic", "every": 1},
    "mt2st_adaptive, fisher": {"main": "topic", "every": 2, "signal": "fisher"},
    "mt2st_adaptive, variance": {"main": "topic", "signal": "variance"},
    "alternating": {"period": 2},
    "mt2st_diminish": {"main": "topic", "realise": "sampling"},
    "mt2st_switch": {"main": "topic", "at": 0.4, "freeze": "embeddings", "lr_scale": 0.5},
    "enter": {"task": "mood", "at": 0.4},
    "leave": {"task": "mood", "at": 0.4},
    "warmup": {"task": "mood", "at": 0.4},
    "task_early_stopping": {"patience": 1, "threshold": 0.9},
}


def _memory(trainer: MultiTaskTrainer) -> dict[str, Any]:
    """What is in a checkpoint, without what a clock says."""
    found = copy.deepcopy({name: part.state_dict() for name, part in trainer.stateful().items()})
    del found["budget"]["seconds"]
    return found


def _assert_equal(found: Any, expected: Any, where: str = "") -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            _assert_equal(found[key], value, f"{where}.{key}")
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True, msg=where)
    else:
        assert found == expected, where


def _log(trainer: MultiTaskTrainer) -> list[dict[str, float]]:
    """The records of the last training, without what a clock says."""
    clock = ("runtime", "per_second")
    records = trainer.state.log_history
    return [{key: value for key, value in record.items() if not key.endswith(clock)} for record in records]


def _assert_twice_the_same(trainer: MultiTaskTrainer) -> Any:
    weights = copy.deepcopy(trainer.model.state_dict())
    know_the_beginning(trainer)
    ends = []
    for _ in range(2):
        trainer.model.load_state_dict(weights)
        trainer.train()
        ends.append((parameters(trainer), _memory(trainer), _log(trainer)))
    _assert_equal(ends[1][2], ends[0][2])
    _assert_equal(ends[1][1], ends[0][1])
    assert same(ends[1][0], ends[0][0])
    return ends[0]


@pytest.mark.parametrize("name", some_fast(SECTIONS, *REMEMBERING))
def test_every_balancing_method_begins_anew(tmp_path: Path, name: str) -> None:
    # The last record is of fewer steps than the others: what is left must not be in the next run's first one.
    trainer = make(tmp_path, balancing=SECTIONS[name], logging_steps=2, **EVERY)
    _assert_twice_the_same(trainer)


@pytest.mark.parametrize("name", some_fast(SCHEDULES, "mt2st_feedback", "mt2st_adaptive, fisher", "alternating"))
def test_every_schedule_begins_anew(tmp_path: Path, name: str) -> None:
    spec = {"type": name.split(",")[0], **SCHEDULES[name]}
    trainer = make(tmp_path, schedules=[spec], **EVERY, **WATCHING)
    _, memory, _ = _assert_twice_the_same(trainer)
    if "mt2st_feedback" in name:
        assert memory["schedules"]["schedules"][0][1]["multiplier"] < 1, "it acted"


def test_every_registered_schedule_is_among_them() -> None:
    assert {name.split(",")[0] for name in SCHEDULES} == set(OF_SCHEDULES.names())


@pytest.mark.parametrize("objective", some_fast(["dro", "progress", "worst", "expected_loss"], "worst"))
def test_learned_temperatures_begin_anew(tmp_path: Path, objective: str) -> None:
    learn = {"objective": objective, "every": 2, "lr": 5.0}
    options = {**EVERY, "max_steps": 12, **WATCHING}  # enough evaluations to follow
    trainer = make(tmp_path, mixture={"learn": learn}, **options)
    _, memory, _ = _assert_twice_the_same(trainer)
    assert memory["temperature"]["moved_at"] > 0
    assert memory["temperature"]["log_tau"].abs().max() > 0


def test_a_mixture_by_gradients_begins_anew(tmp_path: Path) -> None:
    trainer = make(tmp_path, mixture={"learn": {"objective": "pike", "every": 2}}, **{**EVERY, "max_steps": 8})
    _, memory, _ = _assert_twice_the_same(trainer)
    assert memory["temperature"]["looks"].tolist() == [4.0] * 3


class _Counter(TrainerCallback, ExportableState):
    """A callback of the user's own that remembers."""

    def __init__(self) -> None:
        self.steps = 0

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.steps += 1

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"steps": self.steps}}


def test_early_stopping_and_own_callbacks_begin_anew(tmp_path: Path) -> None:
    counter = _Counter()
    trainer = make(
        tmp_path,
        **{**EVERY, **WATCHING},
        callbacks=[counter],
        metric_for_best_model="average",
        early_stopping_patience=3,
        early_stopping_threshold=1e3,
    )
    _assert_twice_the_same(trainer)
    assert trainer.state.global_step == counter.steps == 4
    assert trainer.stateful()["callbacks"].state_dict()["callbacks"]  # something to forget
    trainer.evaluate()  # one more without a better score
    trainer.train()
    assert trainer.state.global_step == 4


def test_a_train_after_one_that_was_broken_off_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"balancing": of("dwa"), "schedules": [{"type": "mt2st_adaptive", "main": "topic"}]}
    expected, broken = (make(tmp_path / name, **options, **EVERY) for name in "ab")
    expected.train()
    weights = copy.deepcopy(broken.model.state_dict())

    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 3:
                raise KeyboardInterrupt

    stop = Stop()
    broken.add_callback(stop)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    broken.remove_callback(stop)
    broken.model.load_state_dict(weights)
    broken.train()
    assert same(parameters(broken), parameters(expected))
    assert _log(broken) == _log(expected)
    _assert_equal(_memory(broken), _memory(expected))


def test_a_resumed_train_goes_on_and_the_one_after_it_begins_anew(tmp_path: Path) -> None:
    options: dict[str, Any] = {"balancing": of("pcgrad"), "save_strategy": "steps", "save_steps": 3, **EVERY}
    trainer = make(tmp_path, **options)
    weights = copy.deepcopy(trainer.model.state_dict())
    trainer.train()
    end, memory = parameters(trainer), _memory(trainer)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert same(parameters(trainer), end)
    _assert_equal(_memory(trainer), memory)
    other = make(tmp_path / "other", **options)
    other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    other.model.load_state_dict(weights)
    other.train()
    assert same(parameters(other), end)
    _assert_equal(_memory(other), memory)


def test_an_own_optimizer_is_said_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(step_trainer.logger, "warning", said.append)
    ordinary = make(tmp_path)
    optimizer = torch.optim.AdamW(ordinary.model.parameters(), lr=1e-3)
    trainer = MultiTaskTrainer(
        ordinary.model,
        ordinary.args,
        ordinary.train_dataset,
        processing_class=tiny.tokenizer(),
        optimizers=(optimizer, None),
    )
    trainer.train()
    assert said == []
    trainer.train()
    assert len(said) == 1
    assert "goes on with what it remembers" in said[0]
