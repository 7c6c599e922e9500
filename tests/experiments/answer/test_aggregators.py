"""Which aggregator an arm has: what its runs say counts before what the study's file says."""

from typing import Any

import pytest

from hf_mtl.experiments.answer.aggregators import aggregator_of, aggregators_in
from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import LIFT, TASKS, study

WAYS: list[Any] = [
    {"balancing.aggregator": "pcgrad"},
    {"balancing.aggregator": {"name": "pcgrad", "seed": 1}},
    {"balancing": {"aggregator": {"name": "pcgrad"}}},
    {"balancing": {"aggregator.name": "pcgrad"}},
    {"balancing.aggregator.name": "pcgrad", "balancing": {"weighting": "uw"}},
]


@pytest.mark.parametrize("keys", WAYS)
def test_a_file_names_it_dotted_or_nested_in_an_arm_or_for_all(keys: dict[str, Any]) -> None:
    assert aggregators_in({"arms": {"a": keys, "b": {}, "single_task": "single_task"}}) == {"a": "pcgrad"}
    said = {"arms": {"a": {}, "b": {"balancing.aggregator": None}, "c": {"balancing": "?"}}, "set": keys}
    assert aggregators_in(said) == {"a": "pcgrad", "c": "pcgrad"}
    assert aggregators_in({"arms": ["a"]}) == aggregators_in({}) == {}


def test_a_record_says_it_and_one_that_does_not_leaves_it_to_the_file() -> None:
    assert aggregator_of([{"aggregator": "upgrad"}], "pcgrad") == "upgrad"
    assert aggregator_of([{"aggregator": None}], "pcgrad") is None
    assert aggregator_of([{}], "pcgrad") == "pcgrad"
    assert aggregator_of([{}], None) is None


@pytest.mark.parametrize("more", [{"aggregator": "pcgrad"}, {}])
def test_the_causes_of_an_arm_know_its_aggregator(more: dict[str, Any]) -> None:
    records = study({"pcgrad": LIFT}, seeds=3, cosines={"stance/hate": -0.3}, **more)
    question = Question("s", ("single_task", "pcgrad"), "single_task", (0, 1, 2), aggregators={"pcgrad": "pcgrad"})
    causes = answer(records, question).causes["pcgrad", TASKS[2]]
    assert any("another gradient aggregator than pcgrad" in cause.text for cause in causes)
