import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hf_mtl.data
from hf_mtl.data.mixture import Facts, Mixture, mistakes, parse
from hf_mtl.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden"
TEMPERATURE = json.loads((GOLDEN / "sampler_temperature.json").read_text())
SIZES = {"large": 8000, "small": 1000, "tiny": 10}


@pytest.mark.parametrize("case", TEMPERATURE["cases"])
def test_probabilities_equal_the_golden_ones(case: dict[str, Any]) -> None:
    inputs = case["inputs"]
    sizes = {f"t{i}": size for i, size in enumerate(inputs["sizes"])}
    tau = inputs["tau"]
    temperature = dict(zip(sizes, tau, strict=True)) if isinstance(tau, list) else tau
    found = Mixture(sizes, temperature=temperature, cap=inputs["size_cap"]).probabilities()
    assert list(found) == list(sizes)
    expected = case["expected"]["probabilities"]
    assert list(found.values()) == pytest.approx(expected, rel=TEMPERATURE["rtol"], abs=TEMPERATURE["atol"])


@given(
    sizes=st.dictionaries(st.text(), st.integers(1, 10**9), min_size=1, max_size=8),
    temperature=st.floats(0.01, 1e6) | st.sampled_from(["proportional", "uniform"]),
    cap=st.none() | st.integers(1, 10**9),
)
def test_probabilities_sum_to_one_and_follow_the_sizes(
    sizes: dict[str, int], temperature: Any, cap: int | None
) -> None:
    cap = None if temperature == "uniform" else cap  # which is refused together
    found = Mixture(sizes, temperature=temperature, cap=cap).probabilities()
    assert list(found) == list(sizes)
    assert math.fsum(found.values()) == pytest.approx(1.0, abs=1e-12)
    by_size = sorted(sizes, key=lambda name: sizes[name])
    for smaller, larger in pairwise(by_size):
        assert found[smaller] <= found[larger] * (1 + 1e-12)


def test_the_room_shows_the_mixture() -> None:
    assert hf_mtl.data.Mixture is Mixture


def test_the_default_temperature_is_two() -> None:
    assert Mixture({"a": 4, "b": 1}).probabilities() == pytest.approx({"a": 2 / 3, "b": 1 / 3})


def test_an_extreme_temperature_does_not_overflow() -> None:
    assert Mixture(SIZES, temperature=1e-4).probabilities() == {"large": 1.0, "small": 0.0, "tiny": 0.0}
    assert Mixture(SIZES, temperature="uniform").probabilities() == dict.fromkeys(SIZES, 1 / 3)


def test_lowering_a_tasks_own_temperature_raises_its_share() -> None:
    equal = Mixture(SIZES, temperature={name: 2.0 for name in SIZES}).probabilities()
    assert equal == pytest.approx(Mixture(SIZES, temperature=2.0).probabilities())
    lower = Mixture(SIZES, temperature={"tiny": 1.0, "large": 2.0, "small": 2.0}).probabilities()
    assert lower["tiny"] > equal["tiny"]
    assert lower["large"] / lower["small"] == pytest.approx(equal["large"] / equal["small"])


def test_annealing_moves_and_a_fixed_temperature_does_not() -> None:
    annealed = Mixture(SIZES, anneal={"start": 1.0, "end": 5.0})
    assert annealed.probabilities(0.0) == pytest.approx(Mixture(SIZES, temperature=1.0).probabilities())
    assert annealed.probabilities(1.0) == pytest.approx(Mixture(SIZES, temperature=5.0).probabilities())
    fixed = Mixture(SIZES, temperature=3.0)
    assert fixed.probabilities(0.0) == fixed.probabilities(1.0)


def test_proportions_are_the_shares_whatever_the_sizes() -> None:
    given = {"tiny": 1, "large": 2.0, "small": 5}  # in another order than the tasks
    for factor in (1, 0.01, 3e307):
        mixture = Mixture(SIZES, proportions={name: factor * share for name, share in given.items()})
        assert list(mixture.probabilities(0.7)) == list(SIZES)
        assert mixture.probabilities(0.7) == pytest.approx({"large": 0.25, "small": 0.625, "tiny": 0.125})


HALVES = {"large": 0.5, "small": 0.25, "tiny": 0.25}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"sizes": {}}, "every task needs at least one training row"),
    ({"sizes": {"a": 3, "empty": 0}}, r"none in \['empty'\]"),
    ({"cap": 0}, "mixture.cap: found 0. Allowed: at least 1."),
    ({"cap": 5, "temperature": "uniform"}, "mixture.cap: does nothing where temperature draws all tasks alike"),
    ({"min_per_task": -1}, "mixture.min_per_task: found -1. Allowed: at least 0."),
    ({"min_per_task": 1, "one_task_per_step": True}, "found 1, with one_task_per_step. Allowed: 0."),
    ({"temperature": 0.0}, "mixture.temperature: found 0.0. Allowed: more than 0."),
    ({"temperature": math.nan}, "mixture.temperature: found nan. Allowed: a finite number."),
    ({"temperature": math.inf}, "mixture.temperature: found inf. Allowed: a finite number."),
    ({"temperature": {"large": 1.0, "small": -1.0, "tiny": 1.0}}, "mixture.temperature.small: found -1.0"),
    (
        {"temperature": {"large": 1.0, "smal": 1.0}},
        r"mixture\.temperature\.smal: unknown task 'smal'\. .* Did you mean 'small'\?\n"
        r"mixture\.temperature: nothing for small, tiny\.",
    ),
    ({"temperature": "unifrom"}, r"found 'unifrom'. Allowed: .*'uniform'. Did you mean 'uniform'\?"),
    ({"anneal": {"strat": 1.0}}, r"mixture.anneal.strat: unknown key 'strat'. .*Did you mean 'start'\?"),
    ({"anneal": {"shape": "linaer"}}, r"mixture.anneal.shape: unknown value 'linaer'. .*Did you mean 'linear'\?"),
    ({"anneal": {"start": 0.0}}, "mixture.anneal.start: found 0.0. Allowed: more than 0."),
    ({"anneal": {"begin": 0.5, "stop": 0.5}}, "mixture.anneal.stop: found 0.5. Allowed: more than begin"),
    ({"anneal": {"end": 5.0}, "temperature": 3.0}, "takes the place of mixture.temperature"),
    ({"proportions": HALVES, "temperature": 3.0}, "mixture.proportions: takes the place of mixture.temperature"),
    ({"proportions": HALVES, "learn": "pike"}, "mixture.learn: takes the place of mixture.proportions"),
    ({"proportions": HALVES, "anneal": {"end": 5.0}}, "mixture.anneal: takes the place of mixture.proportions"),
    ({"proportions": HALVES, "cap": 100}, "mixture.cap: does nothing beside proportions"),
    ({"proportions": {**HALVES, "tiny": 0}}, "mixture.proportions.tiny: found 0. Allowed: more than 0."),
    ({"proportions": {**HALVES, "tiny": -1.0}}, "mixture.proportions.tiny: found -1.0. Allowed: more than 0."),
    ({"proportions": {**HALVES, "tiny": math.inf}}, "mixture.proportions.tiny: found inf. Allowed: a finite number."),
    ({"proportions": {}}, "mixture.proportions: nothing for large, small, tiny"),
    (
        {"proportions": {"large": 1.0, "smal": 1.0}},
        r"mixture\.proportions\.smal: unknown task 'smal'\. .* Did you mean 'small'\?\n"
        r"mixture\.proportions: nothing for small, tiny\.",
    ),
]


@pytest.mark.parametrize(("options", "said"), MISTAKES)
def test_a_wrong_option_is_refused_when_the_mixture_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Mixture(**{"sizes": SIZES, **options})


def test_a_task_of_a_stream_is_no_unknown_task() -> None:
    facts = Facts.of({"v+a": ["v", "a"], "b": ["b"]})

    def wrong(proportions: dict[str, float]) -> list[str]:
        return [str(item) for item in mistakes(parse({"proportions": proportions}, []), facts)]

    said = wrong({"v": 1, "a": 2, "b": 1})
    assert [text.split(":")[0] for text in said] == ["mixture.proportions.v", "mixture.proportions.a"]
    assert "its rows are drawn as 'v+a'" in said[0]
    said = wrong({"v": 1, "v+a": 2, "c": 1})
    assert len(said) == 3
    assert "unknown task 'c'" in said[1]
    assert "nothing for b" in said[2]
