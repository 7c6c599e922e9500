"""A run with any balancing method goes on in the same bits after a checkpoint."""

from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.modeling.families import some_fast
from tests.training.step.test_task_gradients import TRAINED, know_the_beginning, of
from tests.training.trainers import make, parameters, records, same

SECTIONS: dict[str, dict[str, Any]] = {
    **{name: of(name) for name in TRAINED},
    "uw+pcgrad": {"weighting": "uw", "aggregator": "pcgrad"},
    "nash_mtl, every 3": {"weighting": None, "aggregator": {"name": "nash_mtl", "every": 3}},
    "pcd": {"weighting": None, "aggregator": {"name": "pcd", "main": "mood", "beta": 0.5}},
    "preferences": {"weighting": None, "aggregator": {"name": "mgda", "preferences": [1.0, 2.0, 4.0]}},
    "famo, next batch": {"weighting": {"name": "famo", "reuse_next_batch": True}},
}


# Of what methods remember (averages, windows, draws, solutions, parameters of their own), each kind.
FAST = (
    *("aligned_mtl", "db_mtl", "dwa", "excess_mtl", "famo", "gradnorm", "graddrop", "rlw", "uw"),
    *("uw+pcgrad", "nash_mtl, every 3", "pcd", "famo, next batch"),
)


@pytest.mark.parametrize("name", some_fast(SECTIONS, *FAST))
def test_a_resumed_run_goes_on_in_the_same_bits(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {
        "max_steps": 9,
        "save_strategy": "steps",
        "save_steps": 5,
        "learning_rate": 3e-3,
        "balancing": SECTIONS[name],
    }
    whole = make(tmp_path, model=tiny.model(dropout=0.1), **options)
    know_the_beginning(whole)
    whole.train()
    resumed = make(tmp_path / "resumed", model=tiny.model(dropout=0.1, seed=8), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert same(parameters(resumed), parameters(whole))
    decides = SECTIONS[name].get("aggregator") is not None
    for key in ("loss", "weight/mood", *(["conflict_rate", "gradient_norm/mood"] if decides else [])):
        assert records(resumed, key) == records(whole, key) != []
