"""What a study's file says of its arms, in words."""

from typing import Any

import pytest

from hf_mtl.experiments.answer.said_of_arms import arms_in, base_in


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("single_task", ["one run per task"]),
        ({}, ["the base recipe as it is"]),
        ({"balancing": {"weighting": "uw"}, "model.head": "vip"}, ["balancing.weighting: uw", "model.head: vip"]),
        (
            {"single_task": True, "training.learning_rate": 0.001},
            ["one run per task", "training.learning_rate: 0.001"],
        ),
        ({"single_task": False}, ["the base recipe as it is"]),
        ({"groups": [["a", "b"], ["c"]]}, ["one run per group: a+b, c"]),
        ({"groups": "runs/affinity/proposal.json"}, ["one run per group of affinity/proposal.json"]),
        (
            {"extends": ["/home/me/recipes/alt.yaml", "../x.yaml"], "seed": None},
            ["extends: recipes/alt.yaml", "extends: x.yaml", "seed: null"],
        ),
        ({"data": {}, "tags": [1, "b"]}, ["data: {}", "tags: [1, b]"]),
        ({"key": "x" * 70}, ["key: " + "x" * 60 + "..."]),
    ],
)
def test_an_arm_is_what_it_replaces_in_the_base(given: Any, said: list[str]) -> None:
    assert arms_in({"arms": {"it": given}}) == {"it": said}


def test_of_very_many_keys_the_first_are_said() -> None:
    [said] = arms_in({"arms": {"it": {f"k{number}": number for number in range(12)}}}).values()
    assert said == [*(f"k{number}: {number}" for number in range(10)), "2 more keys"]


def test_the_base_is_named_with_what_is_replaced_in_all_arms() -> None:
    assert base_in({"base": "../../quickstart.yaml"}) == ["quickstart.yaml"]
    assert base_in({"base": "a.yaml", "set": {"training": {"max_steps": 5}}}) == ["a.yaml", "training.max_steps: 5"]


@pytest.mark.parametrize("said", [{}, {"arms": None, "set": "x"}, {"arms": ["a"]}])
def test_a_file_that_does_not_say_is_none(said: dict[str, Any]) -> None:
    assert (arms_in(said), base_in(said)) == ({}, [])
