"""The section ``balancing``: read once, and checked against what is known of a run."""

import pytest
import torch

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, Facts, Spec, make, mistakes, parse
from hf_mtl.balancing.section import Sharing
from hf_mtl.errors import Mistake

TASKS = ["a", "b"]


def read(data: object) -> Spec:
    wrong: list[Mistake] = []
    spec = parse(data, wrong, TASKS)
    assert wrong == []
    return spec


def said(data: object, facts: Facts) -> list[tuple[str, str]]:
    return [(mistake.key, mistake.problem) for mistake in mistakes(read(data), facts)]


def test_what_is_null_is_not_given() -> None:
    assert read({"aggregator": None, "gradients": None}).options() == read(None).options() == {}
    assert read({"weighting": None}).weighting.chosen == "ew"


def test_what_was_read_comes_back() -> None:
    spec = read({"weighting": "uw"})
    assert read(spec) is spec
    assert read(spec.options()) == spec


def test_the_parts_that_are_valid_are_kept_beside_those_that_are_not() -> None:
    wrong: list[Mistake] = []
    spec = parse({"weighting": "uww", "aggregator": "pcgrad", "exposure": "rw"}, wrong)
    assert [mistake.key for mistake in wrong] == ["balancing.exposure", "balancing.weighting"]
    assert spec.aggregator is not None
    assert (spec.weighting.chosen, spec.aggregator.chosen) == ("ew", "pcgrad")


def test_an_option_by_task_is_built_in_the_order_of_the_tasks() -> None:
    spec = read({"aggregator": {"name": "ngdiff", "signs": {"b": -1, "a": 1}}})
    assert spec.aggregator is not None
    assert list(make(AGGREGATORS, spec.aggregator, TASKS).signs) == [1, -1]  # type: ignore[attr-defined]


def test_a_fact_that_is_not_known_refuses_nothing() -> None:
    data = {"aggregator": {"name": "pcgrad", "scope": "last_layer"}}
    assert said(data, Facts(TASKS)) == said(data, Facts([])) == []
    frozen = Facts(TASKS, parts={"last_layer": "frozen"})
    assert said(data, frozen) == [("balancing.aggregator.scope", "'last_layer', and nothing of it is trained")]
    absent = Facts(TASKS, parts={"last_layer": "absent"})
    assert said(data, absent)[0][1].startswith("'last_layer', and the encoder's layers are not known one by one")


def test_what_a_method_cannot_work_with_is_found() -> None:
    [compiled] = said({"weighting": "gradnorm"}, Facts(TASKS, compiled=True))
    assert compiled[0] == "training.torch_compile"
    assert said({"weighting": "famo"}, Facts(TASKS, compiled=True)) == []
    [short] = said({"aggregator": "cost"}, Facts(TASKS, dtype=torch.bfloat16))
    assert "torch.bfloat16 cannot hold" in short[1]
    [untrained] = said({"aggregator": "pcgrad"}, Facts(TASKS, parts={"all": "frozen"}))
    assert untrained[0] == "balancing.aggregator"


@pytest.mark.parametrize(
    ("balancing", "key"),
    [
        ({"aggregator": "cagrad"}, "balancing.aggregator"),
        ({"weighting": "gradnorm"}, "balancing.weighting"),
        ({"gradients": {"log_every": 5}}, "balancing.gradients.log_every"),
    ],
)
@pytest.mark.parametrize("shared", ["fsdp", "deepspeed"])
def test_gradients_of_single_tasks_are_refused_by_name_where_processes_share_the_model(
    balancing: dict[str, object], key: str, shared: Sharing
) -> None:
    [(found, problem)] = said(balancing, Facts(TASKS, shared=shared))
    assert found == key
    assert shared in problem


def test_weightings_of_losses_are_not_refused_where_processes_share_the_model() -> None:
    for weighting in ("ew", "uw", "imtl_l", "famo", "gls"):
        assert said({"weighting": weighting}, Facts(TASKS, shared="fsdp")) == []


def test_options_in_the_order_of_the_tasks_stay_with_their_tasks_in_a_model_of_another_order() -> None:
    fixed = read({"weighting": {"name": "fixed", "weights": [1, 3]}}).weighting
    assert fixed.options()["weights"] == {"a": 1, "b": 3}
    there, back = (make(WEIGHTINGS, fixed, names).coefficients().tolist() for names in (["a", "b"], ["b", "a"]))
    assert there == back[::-1] != back
    first = read({"aggregator": {"name": "pcd", "main": 0}}).aggregator
    assert first is not None
    assert first.options()["main"] == "a"
    preferred = read({"aggregator": {"name": "cagrad", "preferences": [1, 3], "c": 0.4}}).aggregator
    assert preferred is not None
    assert preferred.options() == {"preferences": {"a": 1, "b": 3}, "c": 0.4}
    wrong: list[Mistake] = []
    in_python = parse({"weighting": {"name": "fixed", "weights": [1, 3]}}, wrong).weighting
    assert in_python.options()["weights"] == [1, 3]
