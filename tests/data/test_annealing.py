"""Temperatures that move with the run."""

import json
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.data.annealing import annealed_temperature
from hf_mtl.data.mixture import Mixture

GOLDEN = Path(__file__).parents[1] / "golden"
ANNEALED = json.loads((GOLDEN / "sampler_annealed_temperature.json").read_text())
SIZES = {"large": 8000, "small": 1000, "tiny": 10}


@pytest.mark.parametrize("case", ANNEALED["cases"])
def test_annealed_temperatures_equal_the_golden_ones(case: dict[str, Any]) -> None:
    inputs = case["inputs"]
    keys = {"start": "tau_start", "end": "tau_end", "shape": "schedule", "begin": "begin", "stop": "end"}
    options = {ours: inputs[theirs] for ours, theirs in keys.items()}
    found = [annealed_temperature(progress, **options) for progress in inputs["progress"]]
    assert found == pytest.approx(case["expected"]["tau"], rel=ANNEALED["rtol"], abs=ANNEALED["atol"])
    for progress, tau in zip(inputs["progress"], found, strict=True):
        annealed = Mixture(SIZES, anneal=options).probabilities(progress)
        assert annealed == pytest.approx(Mixture(SIZES, temperature=tau).probabilities())
