import pkgutil
from types import ModuleType
from typing import Any

import pytest

from hf_mtl.balancing import (
    AGGREGATORS,
    WEIGHTINGS,
    GradientAggregator,
    LossWeighting,
    aggregators,
    available,
    build_aggregator,
    build_weighting,
    weightings,
)
from hf_mtl.components import Kind
from hf_mtl.errors import UserError


def modules(package: ModuleType) -> set[str]:
    return {f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)}


def test_every_module_of_the_folders_registers_a_method() -> None:
    assert {WEIGHTINGS[name].__module__ for name in WEIGHTINGS.names()} == modules(weightings)
    assert {AGGREGATORS[name].__module__ for name in AGGREGATORS.names()} == modules(aggregators)


def test_available_names_are_sorted_and_tell_the_family() -> None:
    assert list(available()) == sorted(available())
    assert set(available().values()) == {"weighting", "aggregator"}
    assert available()["uw"] == "weighting"
    assert available()["pcgrad"] == "aggregator"


def test_a_method_knows_its_registered_name() -> None:
    for name in WEIGHTINGS.names():
        assert issubclass(WEIGHTINGS[name], LossWeighting)
        assert WEIGHTINGS[name].name == name
    for name in AGGREGATORS.names():
        assert issubclass(AGGREGATORS[name], GradientAggregator)
        assert AGGREGATORS[name].name == name


def test_build_passes_options_on() -> None:
    assert build_weighting("uw", num_tasks=2, clip=1.5).clip == 1.5
    assert build_weighting("ew", num_tasks=4).weights().tolist() == [0.25] * 4
    assert build_aggregator("cagrad", num_tasks=2, c=0.2).c == 0.2  # type: ignore[attr-defined]


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"unknown weighting 'fixd'\. Known: .*uw.* Did you mean 'fixed'\?"):
        build_weighting("fixd", num_tasks=2)
    with pytest.raises(UserError, match=r"balancing.aggregator: unknown .* 'pcgard'.* Did you mean 'pcgrad'\?"):
        build_aggregator("pcgard", num_tasks=2)


def test_a_name_of_the_other_family_is_sent_there() -> None:
    with pytest.raises(UserError, match="'pcgrad' is of the other family and belongs under balancing.aggregator"):
        build_weighting("pcgrad", num_tasks=2)


@pytest.mark.parametrize("kind", [WEIGHTINGS, AGGREGATORS])
def test_what_a_method_is_called_in_full_leads_to_it(kind: Kind[Any]) -> None:
    for name in kind.names():
        others = vars(kind[name])["other_names"]
        assert others, name
        for other in (*others, name.upper(), *(word.replace("_", " ").title() for word in others if len(word) > 9)):
            assert (kind.unknown(other).remedy or "").endswith(f" Did you mean '{name}'?"), (other, name)


def test_no_two_methods_are_called_alike() -> None:
    every = [other for kind in (WEIGHTINGS, AGGREGATORS) for name in kind.names() for other in kind[name].other_names]
    assert len({*every, *available()}) == len(every) + len(available())


def test_a_full_name_of_the_other_family_is_sent_there() -> None:
    with pytest.raises(UserError, match="'pcgrad' is of the other family and belongs under balancing.aggregator"):
        build_weighting("Gradient surgery", num_tasks=2)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "ew",
            {"tempature": 1.0},
            "weighting.tempature: unknown key 'tempature'. Known: name, weight_sum.",
        ),
        ("fixed", {}, "balancing.weighting.weights: missing"),
        ("uw", {"clip": 0.0}, "balancing.weighting.clip: found 0.0. Allowed: more than 0."),
        (
            "stch",
            {"variant": "plain", "warmup_epochs": 1},
            "balancing.weighting.warmup_epochs: does nothing with variant: plain. It is for variant: log_nadir",
        ),
    ],
)
def test_a_weightings_wrong_option_is_the_users_mistake(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_weighting(name, num_tasks=2, **options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "imtl_g",
            {"reduction": "mean"},
            "aggregator.reduction: unknown key 'reduction'. Known: name, scope.",
        ),
        ("pcgrad", {"reduction": "max"}, "balancing.aggregator.reduction: unknown value 'max'. Known: mean, sum."),
        ("mgda", {"scope": "first"}, "aggregator.scope: unknown value 'first'. Known: adapters, all, last_layer."),
    ],
)
def test_an_aggregators_wrong_option_is_the_users_mistake(name: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator(name, num_tasks=2, **options)
