"""Balancing methods decide once per optimizer step, whatever its micro-batches and processes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.modeling.families import some_fast
from tests.training.partition_worker import train
from tests.training.test_partition import Parameters, train_on_processes, updates

METHODS: dict[str, dict[str, Any]] = {
    "uw": {"weighting": "uw"},
    "dwa": {"weighting": {"name": "dwa", "window_steps": 3}},
    "si": {"weighting": "si"},
    "gls": {"weighting": "gls"},
    "stch": {"weighting": {"name": "stch", "warmup_epochs": 0}},
    "famo": {"weighting": "famo"},
    "pcgrad": {"aggregator": "pcgrad"},
    "cagrad": {"aggregator": "cagrad"},
    "nash_mtl": {"aggregator": "nash_mtl"},
    "upgrad": {"aggregator": "upgrad"},
    "pcd": {"aggregator": {"name": "pcd", "main": "mood", "tau": 0.5}},
    "preferences": {"aggregator": {"name": "nash_mtl", "preferences": {"topic": 1, "mood": 4, "score": 2}}},
    # The other ways that gradients are formed, held and used.
    "gradnorm_scaling": {"weighting": {"name": "gradnorm_scaling", "every": 3}},
    "gls+pcgrad": {"weighting": "gls", "aggregator": "pcgrad"},
    "db_mtl": {"aggregator": {"name": "db_mtl", "beta": 0.0}},
    "graddrop": {"aggregator": "graddrop"},
    "sam_mtl": {"aggregator": "sam_mtl"},
    "uw+pcgrad": {"weighting": "uw", "aggregator": "pcgrad"},
    "split": {"aggregator": "cagrad", "gradients": {"layout": "split"}},
    "recompute": {"aggregator": "cagrad", "gradients": {"hold": "recompute"}},
}
STEPS = 10
# One of each way in which losses and gradients are asked for.
FAST = ("famo", "gradnorm_scaling", "gls+pcgrad", "split", "recompute")


def assert_same_run(found: Parameters, reference: Parameters) -> None:
    names = list(updates(reference))
    moved, expected = (torch.cat([updates(run)[name].flatten() for name in names]) for run in (found, reference))
    assert expected.norm() > 0
    assert (moved - expected).norm() < 1e-3 * expected.norm()
    torch.testing.assert_close(found["log/loss"], reference["log/loss"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", some_fast(METHODS, *FAST))
def test_accumulation_does_not_change_a_decision(name: str) -> None:
    options: dict[str, Any] = {"steps": STEPS, "balancing": METHODS[name], "logging_steps": 1}
    reference, _ = train(32, 1, "sgd", "", layout="padded", **options)
    found, _ = train(8, 4, "sgd", "", layout="packed", **options)
    assert_same_run(found, reference)


# Each with another place that divides: losses first, after the update, data terms apart, both layouts, once more.
OF_MASSES = ("gls", "famo", "gradnorm_scaling", "pcgrad", "split", "sam_mtl")


@pytest.mark.parametrize("name", OF_MASSES)
def test_masses_and_weights_do_not_tie_a_decision_to_the_partition(name: str) -> None:
    options: dict[str, Any] = {"steps": 5, "balancing": METHODS[name], "logging_steps": 1, "masses": True}
    head = "vip" if name in ("gradnorm_scaling", "sam_mtl") else None  # whose penalties are divided too
    reference, _ = train(32, 1, "sgd", "", layout="padded", head=head, **options)
    found, _ = train(8, 4, "sgd", "", layout="packed", head=head, **options)
    assert_same_run(found, reference)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gls", "gls+pcgrad", "split"])
def test_processes_do_not_change_a_decision_on_rows_with_masses_and_weights(tmp_path: Path, name: str) -> None:
    options = {"steps": STEPS, "balancing": METHODS[name], "logging_steps": 1, "masses": True}
    reference, _ = train(32, 1, "sgd", "", layout="padded", **options)  # type: ignore[arg-type]
    found = train_on_processes(tmp_path, 2, 8, 2, "sgd", "", "packed", **options)
    assert_same_run(found, reference)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_processes_do_not_change_a_decision(tmp_path: Path, name: str) -> None:
    options = {"steps": STEPS, "balancing": METHODS[name], "logging_steps": 1}
    reference, _ = train(32, 1, "sgd", "", layout="padded", **options)  # type: ignore[arg-type]
    for per_device, accumulation in [(16, 1), (8, 2)]:
        found = train_on_processes(tmp_path, 2, per_device, accumulation, "sgd", "", "packed", **options)
        assert_same_run(found, reference)


def test_losses_of_single_micro_batches_are_another_run() -> None:
    """And are what ``exact_accumulation: false`` takes."""
    runs = []
    for exact in (True, False):
        section = {"weighting": "gls", "exact_accumulation": exact}
        runs.append(train(8, 4, "sgd", "", layout="padded", steps=STEPS, balancing=section, logging_steps=1)[0])
    with pytest.raises(AssertionError):
        assert_same_run(*runs)
