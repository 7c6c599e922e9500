"""Verdicts: what each needs, and how often equal arms are told apart."""

import numpy as np
import pytest
from scipy import stats

from hf_mtl.experiments.evidence import from_resamples, from_seeds
from hf_mtl.experiments.verdict import verdicts


def test_each_word_needs_what_it_says() -> None:
    found = verdicts(
        {
            "up": from_seeds([2.0, 2.2, 1.9, 2.1, 2.0]),
            "down": from_seeds([-2.0, -2.2, -1.9, -2.1, -2.0]),
            "small": from_seeds([0.2, 0.21, 0.19, 0.2, 0.2]),
            "wide": from_seeds([3.0, -3.0, 2.0, -1.0, 0.5]),
            "alone": from_seeds([4.0]),
        }
    )
    words = {key: item.word for key, item in found.items()}
    expected = {"up": "helps", "down": "harms", "small": "equivalent", "wide": "no evidence", "alone": "no evidence"}
    assert words == expected
    seeds = found["wide"].seeds
    assert seeds is not None
    assert seeds > 100
    assert seeds == found["wide"].evidence.repeats_for(0.5, 0.05 / 4)  # one of four that were tested
    assert found["alone"].seeds is None
    assert found["small"].holm < 0.05  # significant, and too small to matter


def test_a_larger_family_needs_more() -> None:
    borderline = from_seeds([1.0, 2.0, 0.4, 1.5, 0.6])
    assert 0.005 < borderline.p < 0.05
    assert verdicts({"t": borderline})["t"].word == "helps"
    many = {"t": borderline, **{f"other {n}": from_seeds([1.0, -1.0, 2.0, -2.0]) for n in range(12)}}
    assert verdicts(many)["t"].word == "no evidence"


def test_the_seeds_that_would_tell_are_more_than_were_run_and_enough_for_the_family() -> None:
    """Simulated, by no formula of ours: 80% of studies with that many seeds are significant after Bonferroni."""
    item = from_seeds([1.0, -1.4, 0.4, 0.9, -0.6])
    family = {"t": item, **{f"other {n}": from_seeds([1.0, -1.0, 2.0, -2.0]) for n in range(11)}}
    seeds = verdicts(family)["t"].seeds
    assert seeds is not None
    random = np.random.default_rng(3)
    power = [
        np.mean(stats.ttest_1samp(random.normal(0.5, item.spread, (20_000, n)), 0, axis=1).pvalue <= 0.05 / 12)
        for n in (seeds - 6, seeds)
    ]
    assert power[0] < 0.78 < power[1] < 0.82
    near = from_seeds([0.3 + 0.1 * step for step in (-3, -2, -1, 0, 1, 2, 3) for _ in range(2)])
    assert near.repeats_for(0.5) is not None
    assert verdicts({"t": near}, smallest=0.36)["t"].seeds is None  # 14 were run, and fewer would have shown it


def test_a_difference_that_matters_is_more_than_none() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        verdicts({"t": from_seeds([1.0, 2.0])}, smallest=0)
    assert verdicts({"t": from_seeds([2.0, 2.1, 2.2])}, smallest=3)["t"].word == "equivalent"


@pytest.mark.slow
def test_equal_arms_are_told_apart_in_at_most_5_of_100_studies() -> None:
    random, alarms = np.random.default_rng(5), {}
    for name, seeds in (("3 seeds", 3), ("5 seeds", 5)):
        studies = [verdicts({task: from_seeds(random.normal(0, 3, seeds)) for task in range(12)}) for _ in range(800)]
        alarms[name] = np.mean([any(item.word in ("helps", "harms") for item in found.values()) for found in studies])
    shares = []
    for _ in range(150):
        family = {}
        for task in range(4):
            gain = random.choice([-100.0, 0.0, 100.0], p=[0.1, 0.8, 0.1], size=200)
            drawn = gain[random.integers(0, 200, (400, 200))].mean(axis=1)
            family[task] = from_resamples(float(gain.mean()), drawn, 200)
        shares.append(any(item.word in ("helps", "harms") for item in verdicts(family).values()))
    alarms["rows"] = np.mean(shares)
    print(f"false alarms: {alarms}")
    assert alarms["3 seeds"] <= 0.05 + 0.016  # and two standard errors of 800 studies
    assert alarms["5 seeds"] <= 0.05 + 0.016
    assert alarms["rows"] <= 0.05 + 0.036
