import pkgutil

import pytest

from hf_mtl.balancing import LossWeighting, available, build_weighting, weighting_class, weightings
from hf_mtl.errors import UserError


def test_every_module_of_the_folder_registers_a_weighting() -> None:
    modules = {f"{weightings.__name__}.{module.name}" for module in pkgutil.iter_modules(weightings.__path__)}
    homes = {weighting_class(name).__module__ for name in available()}
    assert homes == modules


def test_available_names_are_sorted_and_tell_the_family() -> None:
    assert list(available()) == sorted(available())
    assert (
        available().items() >= {"ew": "weighting", "fixed": "weighting", "tw": "weighting", "uw": "weighting"}.items()
    )


def test_a_weighting_knows_its_registered_name() -> None:
    for name in available():
        assert issubclass(weighting_class(name), LossWeighting)
        assert weighting_class(name).name == name


def test_build_passes_options_on() -> None:
    assert build_weighting("uw", num_tasks=2, clip=1.5).clip == 1.5
    assert build_weighting("ew", num_tasks=4).weights().tolist() == [0.25] * 4


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"unknown weighting 'fixd'\. Known: .*uw.* Did you mean 'fixed'\?"):
        build_weighting("fixd", num_tasks=2)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ew", {"tempature": 1.0}, "balancing.weighting.tempature: 'ew' has no option 'tempature'"),
        ("fixed", {}, "balancing.weighting: 'fixed': .*'weights'"),
        ("uw", {"clip": 0.0}, "balancing.weighting: 'uw': clip is 0.0; needs a positive number"),
    ],
)
def test_a_wrong_option_is_the_users_mistake(name: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_weighting(name, num_tasks=2, **options)
