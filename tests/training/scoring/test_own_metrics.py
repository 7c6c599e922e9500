"""What a compute_metrics may be, and may return."""

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EvalPrediction

from hf_mtl.errors import UserError
from hf_mtl.training.scoring import own_metrics
from hf_mtl.training.scoring.own_metrics import own_metrics_mistakes, own_scores, plain
from tests.training.trainers import make

PREDICTION = EvalPrediction(np.eye(2), np.array([0, 1]))


class Instance:
    def __init__(self, option: str = "kept"):
        self.option = option

    def __call__(self, prediction: EvalPrediction, task: str) -> dict[str, Any]:
        return {"told": task, "option": self.option}

    def one(self, prediction: EvalPrediction) -> dict[str, Any]:
        return {"told": None}


def required(prediction: EvalPrediction, name: str, /) -> dict[str, Any]:
    return {"told": name}


def optional(prediction: EvalPrediction, option: str = "kept", task: str = "none") -> dict[str, Any]:
    return {"told": task, "option": option}


def with_option(prediction: EvalPrediction, option: str = "kept") -> dict[str, Any]:
    return {"told": None, "option": option}


def by_keyword(prediction: EvalPrediction, *, task: str) -> dict[str, Any]:
    return {"told": task}


def of_any(*arguments: Any, **options: Any) -> dict[str, Any]:
    return {"told": options.get("task"), "arguments": len(arguments)}


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda prediction: {"told": None}, None),
        (lambda prediction, name: {"told": name}, "mood"),
        (Instance(), "mood"),
        (Instance().one, None),
        (required, "mood"),
        (optional, "mood"),
        (with_option, None),
        (by_keyword, "mood"),
        (of_any, None),
        (partial(optional, option="kept"), "mood"),
        (partial(optional, task="mine"), "mine"),
        (partial(by_keyword, task="mine"), "mine"),
        (partial(with_option, option="kept"), None),
    ],
)
def test_a_function_is_told_the_task_if_it_asks_for_it(function: Any, told: str | None) -> None:
    assert own_metrics_mistakes(function) == []
    found = own_scores(function, PREDICTION, "mood")
    assert found["told"] == told
    assert found.get("option", "kept") == "kept"
    assert found.get("arguments", 1) == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ({"mood": 1.0}, "is a dict"),
        (lambda: {}, "cannot be called: too many positional arguments"),
        (lambda a, b, c: {}, "cannot be called: missing a required argument: 'c'"),
        (lambda a, *, average: {}, "cannot be called: missing a required"),
    ],
)
def test_one_that_cannot_be_called_is_refused_before_training(tmp_path: Path, function: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"^compute_metrics: {said}.* Give a function of one argument") as caught:
        make(tmp_path / "run", compute_metrics=function)
    assert len(caught.value.mistakes) == 1
    assert not (tmp_path / "run").exists()


def test_numbers_of_other_libraries_become_pythons_own() -> None:
    given = {
        "int": np.int64(3),
        "float": np.float32(0.5),
        "long": np.longdouble(0.5),
        "bool": np.bool_(True),
        "tensor": torch.tensor(2),
        "half": torch.tensor([0.5], dtype=torch.bfloat16),
        "one": np.ones((1, 1)),
        "classes": np.arange(3),
        "rows": torch.zeros(2, 1),
        "nested": {"a": np.float16(0.5), 1: (np.int8(1), None)},
        "decimal": Decimal("0.5"),
        "text": np.str_("x"),
        "nan": np.float64("nan"),
    }
    found = plain(given)
    assert {key: value for key, value in found.items() if key != "nan"} == {
        **{"int": 3, "float": 0.5, "long": 0.5, "bool": True, "tensor": 2, "half": 0.5, "one": 1.0},
        **{"classes": [0, 1, 2], "rows": [[0.0], [0.0]], "nested": {"a": 0.5, "1": [1, None]}},
        **{"decimal": 0.5, "text": "x"},
    }
    assert [type(found[key]) for key in ("int", "float", "long", "bool", "nan")] == [int, float, float, bool, float]
    json.dumps(found)


def test_what_no_checkpoint_can_keep_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(own_metrics.logger, "warning_once", said.append)
    assert own_scores(lambda _: {"figure": object(), "mine": 1}, PREDICTION, "mood") == {"mine": 1}
    assert own_scores(lambda _: None, PREDICTION, "mood") == {}  # type: ignore[arg-type, return-value]
    assert own_scores(lambda _: 0.5, PREDICTION, "mood") == {}  # type: ignore[arg-type, return-value]
    assert said == [
        "compute_metrics returns 'figure', an object that a checkpoint cannot keep: it is left out.",
        "compute_metrics returns None for 'mood', and no dictionary of numbers: nothing of it is reported.",
        "compute_metrics returns a float for 'mood', and no dictionary of numbers: nothing of it is reported.",
    ]


def test_a_run_with_numbers_of_numpy_and_torch_is_saved(tmp_path: Path) -> None:
    def metrics(found: EvalPrediction, task: str) -> dict[str, Any]:
        hits = (found.predictions.argmax(1) == found.label_ids.reshape(len(found.label_ids), -1)[:, 0]).sum()
        return {"hits": hits, "share": torch.tensor(0.5), f"of_{task}": np.arange(2)}

    every = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    best = {"metric_for_best_model": "mood_share", "greater_is_better": True, "load_best_model_at_end": True}
    trainer = make(tmp_path, max_steps=1, compute_metrics=metrics, **every, **best)
    trainer.train()
    state = json.loads((tmp_path / "checkpoint-1" / "trainer_state.json").read_text())
    (record,) = [item for item in state["log_history"] if "eval_loss" in item]
    assert isinstance(record["eval_topic_hits"], int)
    assert record["eval_mood_of_mood"] == [0, 1]
    assert state["best_metric"] == 0.5


EVERY_STEP = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 2, "metric_for_best_model": "mood_mine"}


@pytest.mark.parametrize(("value", "kind"), [(None, "None"), ("high", "a str"), ([1, 2], "a list"), ({}, "a dict")])
def test_a_best_model_by_what_is_no_number_is_refused(tmp_path: Path, value: Any, kind: str) -> None:
    said = f"training.metric_for_best_model: is 'mood_mine', of which compute_metrics makes {kind}. The best model"
    with pytest.raises(UserError, match=said):
        make(tmp_path / "run", compute_metrics=lambda _: {"mine": value}, **EVERY_STEP)


def test_a_watched_score_that_becomes_no_number_counts_as_undefined(tmp_path: Path) -> None:
    values = iter([1.0, 1.0, *[None] * 9])  # the first is that of the check
    given: dict[str, Any] = {"compute_metrics": lambda _, task: {"mine": next(values)} if task == "mood" else {}}
    trainer = make(tmp_path, early_stopping_patience=1, **given, **{**EVERY_STEP, "max_steps": 4})
    trainer.train()
    assert trainer.state.global_step == 2
    assert trainer.state.best_metric == 1.0
