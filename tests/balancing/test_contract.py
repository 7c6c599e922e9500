"""Names, options and defaults of section 9 of the algorithm reference, and what every option refuses.

A method that the reference does not have yet needs no entry.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import hf_mtl.balancing as of_balancing
from hf_mtl.balancing import GradientAggregator, LossWeighting, available, build_aggregator, build_weighting
from hf_mtl.balancing.catalogue import REQUIRED, method_facts
from hf_mtl.errors import UserError

WEIGHTINGS: dict[str, dict[str, Any]] = {
    "ew": {},
    "si": {},
    "gls": {},
    "uw_o": {},
    "fixed": {"weights": REQUIRED},
    "tw": {"mode": "proportional"},
    "uw": {"variant": "mixed", "init": 0.0, "clip": 5.0},
    "uw_so": {"temperature": 1.0},
    "dwa": {"temperature": 2.0, "window_steps": None},
    "imtl_l": {"clip": 5.0},
    "rlw": {"distribution": "normal"},
    "gradnorm": {"alpha": 1.5, "lr": 0.025, "scope": "last_layer"},
    "slaw": {"beta": 0.99},
    "gradnorm_scaling": {"kappa": 1.0, "beta": 0.9, "every": 50, "scope": "last_layer"},
    "famo": {"gamma": 1e-3, "lr": 0.025, "reuse_next_batch": False},
    "stch": {"variant": "log_nadir", "mu": 1.0, "warmup_epochs": 4},
    "excess_mtl": {"eta": 0.01},
}
"""Beside ``weight_sum``, which every weighting takes."""

AGGREGATORS: dict[str, dict[str, Any]] = {
    "sum": {},
    "mean": {},
    "imtl_g": {},
    "pcgrad": {},
    "mgda": {"normalization": "none", "preferences": None},
    "gradvac": {"beta": 0.01},
    "graddrop": {"leak": 0.0},
    "cagrad": {"c": 0.4, "rescale": 1, "preferences": None},
    "imgrad": {"c": 0.8, "kappa": 1.5, "rescale": 0},
    "nash_mtl": {"max_norm": 0.0, "every": 1, "preferences": None},
    "pcd": {"main": REQUIRED, "tau": 0.02, "beta": 0.999, "epsilon": 1e-8},
    "fairgrad": {"alpha": 2.0},
    "aligned_mtl": {"scale_mode": "min"},
    "upgrad": {"rho": 1e-4, "preferences": None},
    "ngdiff": {"signs": REQUIRED},
    "db_mtl": {"beta": 0.9, "sigma": 0.0},
    "sam_mtl": {"base": "mean", "rho": 0.05},
    "cost": {"base": "mean", "rank": 5, "start_epoch": 1},
}
"""Beside ``scope``, which every aggregator takes, and ``reduction``, which those of scale ``sum`` take."""

SCALES = {
    "sum": {"sum", "pcgrad", "gradvac", "graddrop", "aligned_mtl", "db_mtl"},
    "mean": {"mean", "mgda", "imtl_g", "cagrad", "imgrad", "upgrad"},
    "own": {"nash_mtl", "fairgrad", "ngdiff", "pcd"},
    "the base's": {"sam_mtl", "cost"},
}
SUMS = {
    "1": {"ew", "tw", "rlw", "uw_so", "famo"},
    "T": {"dwa", "gradnorm", "slaw", "gradnorm_scaling", "excess_mtl"},
    "own": {"fixed", "si", "uw", "uw_o", "imtl_l", "gls", "stch"},
}
WORDS = {
    ("tw", "mode"): {"proportional", "inverse"},
    ("uw", "variant"): {"mixed", "unit", "half"},
    ("rlw", "distribution"): {"normal", "dirichlet"},
    ("stch", "variant"): {"log_nadir", "plain"},
    ("mgda", "normalization"): {"none", "l2", "loss", "loss+"},
    ("pcgrad", "reduction"): {"sum", "mean"},
}

METHODS: dict[str, Any] = {
    name: (of_balancing.WEIGHTINGS if family == "weighting" else of_balancing.AGGREGATORS)[name]
    for name, family in available().items()
}


def test_every_method_of_the_reference_is_here_in_its_family() -> None:
    assert {**dict.fromkeys(WEIGHTINGS, "weighting"), **dict.fromkeys(AGGREGATORS, "aggregator")}.items() <= set(
        available().items()
    )


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_has_the_options_and_defaults_of_the_reference(name: str) -> None:
    assert method_facts(name).options == {**WEIGHTINGS[name], "weight_sum": None}
    assert name in SUMS[method_facts(name).sums_to or ""]


@pytest.mark.parametrize("name", AGGREGATORS)
def test_an_aggregator_has_the_options_and_defaults_of_the_reference(name: str) -> None:
    reduction = {"reduction": "sum"} if name in SCALES["sum"] else {}
    assert method_facts(name).options == {**AGGREGATORS[name], **reduction, "scope": "all"}
    assert name in SCALES[method_facts(name).scale]


@pytest.mark.parametrize(("name", "option"), WORDS)
def test_an_option_has_the_words_of_the_reference(name: str, option: str) -> None:
    assert set(get_args(get_type_hints(METHODS[name].__init__)[option])) == WORDS[name, option]


def options_with(kind: type) -> Iterator[tuple[str, str]]:
    """Method and option, of the options that may be of a type."""
    for name, cls in METHODS.items():
        hints = get_type_hints(cls.__init__)
        yield from (
            (name, option)
            for option in method_facts(name).options
            if kind in (hints[option], *get_args(hints[option]))
        )


def required_of(name: str) -> list[str]:
    return [option for option, value in method_facts(name).options.items() if value is REQUIRED]


def names_a_task(name: str, option: str) -> bool:
    return str in get_args(get_type_hints(METHODS[name].__init__)[option])


def build(name: str, **options: Any) -> LossWeighting | GradientAggregator:
    """A method of two tasks, with a 1 for each in what must be given, and the second where that is a task."""
    required = {key: 1 if names_a_task(name, key) else [1, 1] for key in required_of(name)}
    make = build_weighting if available()[name] == "weighting" else build_aggregator
    return make(name, num_tasks=2, **{**required, **options})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("name", "option"), [*options_with(float), *options_with(int)])
def test_a_number_that_is_not_finite_is_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"\.{option}: found {value}\. Allowed: (text or )?a (finite|whole) num"):
        build(name, **{option: value})


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name in METHODS for option in required_of(name) if not names_a_task(name, option)],
)
def test_a_number_by_task_that_is_not_finite_is_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"\.{option}\.1: found {value}\. Allowed: a finite number\."):
        build(name, **{option: [1, value]})


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name, cls in METHODS.items()
        for option, hint in get_type_hints(cls.__init__).items()
        if get_origin(hint) is Literal
    ],
)
def test_another_word_is_refused_with_those_that_are_not(name: str, option: str) -> None:
    with pytest.raises(UserError, match=rf"\.{option}: unknown value 'other'\. Known: .+"):
        build(name, **{option: "other"})
