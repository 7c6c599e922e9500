"""What an aggregator needs decides what it is, and which others it can wrap."""

from typing import get_args

import pytest
import torch

from hf_mtl.balancing import FromGramian, LookAhead, Teleporting, aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.family import (
    LOSSES,
    NAMES,
    ROWS,
    build,
    draws_of,
    every_aggregator,
    has_option,
    is_gramian,
    step,
)


@every_aggregator
def test_what_it_needs_is_what_it_is(name: str) -> None:
    built = build(name)
    for holder in (type(built), built):
        assert holder.scale in get_args(aggregator.Scale)
        assert holder.needs
        assert holder.needs <= set(get_args(aggregator.Need))
    assert ("jacobian" in built.needs) != isinstance(built, FromGramian)
    assert ("second_backward" in built.needs) == isinstance(built, LookAhead)
    assert ("adapter_training" in built.needs) == isinstance(built, Teleporting)
    assert built.scope == "all"


@pytest.mark.parametrize("name", [name for name in NAMES if has_option(name, "base")])
@pytest.mark.parametrize("base", ["pcgrad", "mgda"])
def test_a_wrapper_has_the_scale_of_its_base(name: str, base: str) -> None:
    assert type(build(name)).scale == "the base's"
    assert build(name, base=base).scale == build(base).scale


@pytest.mark.parametrize("name", [name for name in NAMES if has_option(name, "base")])
@pytest.mark.parametrize("base", ["pcgrad", "graddrop"])
def test_a_wrapper_has_the_weights_of_its_base_if_that_has_any(name: str, base: str) -> None:
    wrapper, alone = build(name, base=base), build(base)
    assert wrapper.weights() is None
    step(wrapper, ROWS, **draws_of(base))
    step(alone, ROWS, **draws_of(base))
    found, expected = wrapper.weights(), alone.weights()
    assert (found is None) == (expected is None) == (base == "graddrop")
    if found is not None and expected is not None:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", [name for name in NAMES if has_option(name, "base")])
def test_a_base_that_must_be_given_options_is_none(name: str) -> None:
    with pytest.raises(UserError, match="base: .*'ngdiff'"):
        build(name, base="ngdiff")


@pytest.mark.parametrize("name", [name for name in NAMES if is_gramian(name)])
def test_a_gramian_of_another_number_of_tasks_is_refused(name: str) -> None:
    built = build(name)
    assert isinstance(built, FromGramian)
    with pytest.raises(ValueError, match=r"the Gramian is \[3, 3\]; needs \[4, 4\]"):
        built.weights_from_gramian(torch.eye(3), LOSSES)


@every_aggregator
def test_rows_of_another_number_of_tasks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"the Jacobian is \[3, 9\]; needs \[4, P\]"):
        build(name)(ROWS[:3], LOSSES)
