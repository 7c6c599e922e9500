"""The balancing methods of a run, as its recipe writes them."""

from typing import Any

import pytest

from hf_mtl.balancing import parse
from hf_mtl.data.mixture import Mixture
from hf_mtl.errors import Mistake
from hf_mtl.training.step import balancing as module
from hf_mtl.training.step.balancing import make_weighting
from tests import tiny

SIZES = tiny.SIZES


def make(balancing: dict[str, Any], **mixture: Any) -> Any:
    mistakes: list[Mistake] = []
    spec = parse(balancing, mistakes)
    assert not mistakes
    return make_weighting(spec, tiny.TASKS, Mixture(SIZES, **mixture))


def test_equal_weighting_is_the_default() -> None:
    assert make({}).name == "ew"
    assert make({"weighting": None, "exposure": "tasks"}).name == "ew"


def test_uw_learns_of_the_task_types() -> None:
    assert make({"weighting": "uw"}).weights().tolist() == [1.0, 1.0, 0.5]
    assert make({"weighting": {"name": "uw", "variant": "half"}}).weights().tolist() == [0.5] * 3


def test_tw_learns_of_the_training_sizes() -> None:
    weighting = make({"weighting": {"name": "tw", "mode": "proportional"}})
    assert weighting.weights().tolist() == pytest.approx([size / 191 for size in SIZES.values()])


def test_options_by_task_are_brought_into_task_order() -> None:
    spec = {"name": "fixed", "weights": {"score": 3.0, "topic": 1.0, "mood": 2.0}}
    assert make({"weighting": spec}).weights().tolist() == [1.0, 2.0, 3.0]
    assert list(spec) == ["name", "weights"], "the caller's options stay as they are"


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    return said


@pytest.mark.parametrize("temperature", [1, 1.0, "proportional"])
def test_counting_size_twice_is_warned_of(warnings: list[str], temperature: Any) -> None:
    make({"weighting": "tw"}, temperature=temperature)
    assert len(warnings) == 1
    assert "counts size twice" in warnings[0]


@pytest.mark.parametrize(
    ("spec", "temperature"),
    [
        ("tw", 2.0),
        ("tw", "uniform"),
        ({"name": "tw", "mode": "inverse"}, 1.0),
        ("ew", 1.0),
        ("tw", dict.fromkeys(SIZES, 1.0)),
    ],
)
def test_other_combinations_are_not(warnings: list[str], spec: Any, temperature: Any) -> None:
    make({"weighting": spec}, temperature=temperature)
    assert warnings == []
