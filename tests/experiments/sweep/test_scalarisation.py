"""Loss weights as a search: only ratios count, one dimension less than tasks, the scale stays."""

from typing import Any

import pytest

from hf_mtl.errors import Mistake
from hf_mtl.experiments.sweep.scalarisation import Scalarisation, name_of, parse_scalarisation
from hf_mtl.recipe.nodes import Origin

WHERE = Origin("sweep.yaml", "/", 3)
TASKS = ["a", "b", "c"]


def parsed(weighting: dict[str, Any] | None = None, **spec: Any) -> Scalarisation:
    mistakes: list[Mistake] = []
    found = parse_scalarisation(spec, TASKS, weighting or {"name": "ew"}, WHERE, mistakes)
    assert mistakes == []
    assert found is not None
    return found


def test_there_is_one_dimension_less_than_tasks() -> None:
    found = parsed(low=0.2, high=5.0)
    assert [item.key for item in found.dimensions] == [name_of("b"), name_of("c")]
    assert all((item.low, item.high, item.log) == (0.2, 5.0, True) for item in found.dimensions)
    assert [item.key for item in parsed(tasks=["c", "a", "b"]).dimensions] == [name_of("b"), name_of("c")]


def test_some_tasks_are_measured_by_the_others() -> None:
    found = parsed(tasks=["a"])
    assert [item.key for item in found.dimensions] == [name_of("a")]
    assert found.weighting({name_of("a"): 2.0})["weights"] == pytest.approx({"a": 0.5, "b": 0.25, "c": 0.25})


def test_weights_have_the_drawn_ratios_and_the_sum_of_equal_ones() -> None:
    made = parsed().weighting({name_of("b"): 4.0, name_of("c"): 5.0})
    assert made["name"] == "fixed"
    assert made["weights"] == pytest.approx({"a": 0.1, "b": 0.4, "c": 0.5})


@pytest.mark.parametrize(
    ("weighting", "total"),
    [
        ({"name": "ew", "weight_sum": 3.0}, 3.0),
        ({"name": "fixed", "weights": {"a": 1.0, "b": 2.0, "c": 3.0}}, 6.0),
        ({"name": "fixed", "weights": {"a": 1.0, "b": 2.0, "c": 3.0}, "weight_sum": 1.0}, 1.0),
        ({"name": "uw"}, 1.0),
    ],
)
def test_the_sum_stays_that_of_the_arm(weighting: dict[str, Any], total: float) -> None:
    made = parsed(weighting).weighting({name_of("b"): 0.3, name_of("c"): 7.0})
    assert sum(made["weights"].values()) == pytest.approx(total)


def test_the_ratios_of_a_recipe_are_read_back() -> None:
    found = parsed()
    ratios = {name_of("b"): 0.3, name_of("c"): 7.0}
    assert found.drawn(found.weighting(ratios)) == pytest.approx(ratios)
    assert found.drawn({"name": "ew"}) == {name_of("b"): 1.0, name_of("c"): 1.0}
    assert found.drawn({"name": "uw"}) == {}
    uneven = {"name": "fixed", "weights": {"a": 1.0, "b": 2.0, "c": 3.0}}
    assert parsed(tasks=["a"]).drawn(uneven) == {}  # the others, by which it is measured, weigh differently


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"task": "all"}, "scalarisation.task: unknown key 'task'. Known: high, low, tasks. Did you mean 'tasks'?"),
        ({"low": 0}, "scalarisation.low: found 0. Allowed: more than 0."),
        ({"low": 2, "high": 1}, "scalarisation: found low 2 and high 1. Allowed: high above low."),
        ({"tasks": ["a", "bb"]}, "scalarisation.tasks.1: unknown task 'bb'. Known: a, b, c. Did you mean 'b'?"),
        ({"tasks": []}, "scalarisation.tasks: is empty. Allowed: all, or names of tasks."),
    ],
)
def test_what_is_no_scalarisation_is_refused(spec: dict[str, Any], said: str) -> None:
    mistakes: list[Mistake] = []
    assert parse_scalarisation(spec, TASKS, {"name": "ew"}, WHERE, mistakes) is None
    assert [str(item) for item in mistakes] == [said]


def test_one_task_has_no_weights_to_search() -> None:
    mistakes: list[Mistake] = []
    assert parse_scalarisation({}, ["a"], {"name": "ew"}, WHERE, mistakes) is None
    assert str(mistakes[0]) == "scalarisation: there is one task. Weights are those of two tasks or more."
