"""The update does not depend on how a step's rows are split over processes, micro-batches and length groups."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hf_mtl.batch import EncoderLayout
from tests.modeling.families import some_fast
from tests.training.partition_worker import train

ROOT = Path(__file__).parents[2]
Parameters = dict[str, torch.Tensor]


def updates(found: Parameters) -> Parameters:
    names = [key.removeprefix("after/") for key in found if key.startswith("after/")]
    return {name: found[f"after/{name}"] - found[f"before/{name}"] for name in names}


def has_no_gradient(name: str) -> bool:
    """Softmax does not see a constant added to all of a query's scores, so a key's bias has gradient zero."""
    return name.endswith("attention.self.key.bias")


def assert_same_run(found: Parameters, reference: Parameters, optim: str) -> None:
    if optim == "sgd":
        expected = updates(reference)
        for name, update in updates(found).items():
            if not has_no_gradient(name):
                error = (update - expected[name]).norm() / expected[name].norm()
                assert error < 1e-4, f"{name}: {error:.1e}"
    else:
        names = [key for key in reference if key.startswith("after/")]
        flat, want = (torch.cat([values[name].flatten() for name in names]) for values in (found, reference))
        assert (flat - want).norm() / want.norm() < 1e-5
    assert any(update.norm() > 0 for update in updates(found).values())


def train_on_processes(
    tmp_path: Path,
    processes: int,
    per_device: int,
    accumulation: int,
    optim: str,
    weighting: str,
    layout: str,
    **options: Any,
) -> Parameters:
    output = tmp_path / f"{processes}-{per_device}-{accumulation}.safetensors"
    worker = ROOT / "tests/training/partition_worker.py"
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)),
            *map(str, (worker, output, per_device, accumulation, optim, weighting, layout, json.dumps(options))),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    return load_file(output)


@pytest.mark.parametrize("weighting", some_fast(["ew", "uw"], "uw"))
@pytest.mark.parametrize("optim", some_fast(["sgd", "adamw_torch"], "adamw_torch"))
def test_accumulation_and_length_groups_do_not_change_the_update(optim: str, weighting: str) -> None:
    reference, trainer = train(32, 1, optim, weighting, layout="padded")
    counts = [trainer.steps.planner.window_counts(trainer.steps.state)[0]]
    assert any(count % 4 for count in counts[0].flatten()), "the tasks' rows should not divide evenly"
    for per_device, accumulation, layout in [
        (32, 1, "packed"),
        (32, 1, "groups"),
        (8, 4, "padded"),
        (8, 4, "packed"),
    ]:
        found, _ = train(per_device, accumulation, optim, weighting, layout)
        assert_same_run(found, reference, optim)


@pytest.mark.parametrize("weighting", ["ew", "uw"])
def test_layouts_agree_to_a_hundred_thousandth_of_an_update(weighting: str) -> None:
    runs = [updates(train(32, 1, "sgd", weighting, layout, steps=1)[0]) for layout in ("padded", "groups", "packed")]
    names = [name for name in runs[0] if not has_no_gradient(name)]
    reference, *others = [torch.cat([run[name].flatten() for name in names]) for run in runs]
    for other in others:
        assert (other - reference).norm() < 1e-5 * reference.norm()


@pytest.mark.parametrize("head", ["linear", "vip"])
def test_masses_and_weights_do_not_tie_the_update_to_the_partition(head: str) -> None:
    options: dict[str, Any] = {"steps": 6, "head": head}
    reference, _ = train(32, 1, "sgd", "uw", layout="padded", masses=True, **options)
    found, _ = train(8, 4, "sgd", "uw", layout="packed", masses=True, **options)
    assert_same_run(found, reference, "sgd")
    of_rows, _ = train(32, 1, "sgd", "uw", layout="padded", **options)
    with pytest.raises(AssertionError):
        assert_same_run(of_rows, reference, "sgd")


def test_steps_of_fewer_rows_than_micro_batches_make_the_same_update() -> None:
    # With topic away a step has two rows or so, and most of its micro-batches have none.
    topic_is_away = [{"type": "enter", "task": "topic", "at": {"step": 5}, "freed_rows": "drop"}]
    options: dict[str, Any] = {"steps": 6, "masses": True, "schedules": topic_is_away}
    reference, _ = train(6, 1, "sgd", "uw", layout="padded", **options)
    found, trainer = train(1, 6, "sgd", "uw", layout="packed", **options)
    assert max(trainer.steps.planner.window_counts(trainer.steps.state, trainer.steps._tasks)[0][:5].sum(axis=1)) < 6
    assert_same_run(found, reference, "sgd")


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
@pytest.mark.parametrize(("processes", "tokens"), [(2, 60), (2, 10_000), (4, 30)])
def test_micro_batches_of_so_many_tokens_make_the_same_update_on_any_number_of_processes(
    tmp_path: Path, layout: EncoderLayout, processes: int, tokens: int
) -> None:
    reference, _ = train(32, 1, "sgd", "uw", layout)
    options: dict[str, Any] = {"tokens_per_micro_batch": tokens}
    found = train_on_processes(tmp_path, processes, 32 // processes, 1, "sgd", "uw", layout, **options)
    assert_same_run(found, reference, "sgd")


@pytest.mark.slow
def test_processes_without_rows_in_a_micro_batch_make_the_same_update(tmp_path: Path) -> None:
    # With topic away a step has few rows, and some processes have none in the last micro-batch.
    away = [{"type": "enter", "task": "topic", "at": {"step": 2}, "freed_rows": "drop"}]
    options: dict[str, Any] = {"steps": 6, "masses": True, "schedules": away}
    reference, _ = train(32, 1, "sgd", "uw", layout="padded", **options)
    options["tokens_per_micro_batch"] = 30
    found = train_on_processes(tmp_path, 4, 8, 1, "sgd", "uw", "padded", **options)
    assert_same_run(found, reference, "sgd")


@pytest.mark.slow
def test_processes_do_not_change_the_update_of_rows_with_masses_and_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = {"masses": True, "steps": 12}  # weights of 5 let rounding grow sooner
    reference, _ = train(32, 1, "sgd", "uw", layout="packed", **options)
    for per_device, accumulation in [(16, 1), (8, 2)]:
        found = train_on_processes(tmp_path, 2, per_device, accumulation, "sgd", "uw", "packed", **options)
        assert_same_run(found, reference, "sgd")


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
@pytest.mark.parametrize("weighting", ["ew", "uw"])
@pytest.mark.parametrize("optim", ["sgd", "adamw_torch"])
def test_processes_do_not_change_the_update(
    tmp_path: Path, optim: str, weighting: str, layout: EncoderLayout
) -> None:
    reference, _ = train(32, 1, optim, weighting, layout)
    for per_device, accumulation in [(16, 1), (8, 2)]:
        found = train_on_processes(tmp_path, 2, per_device, accumulation, optim, weighting, layout)
        assert_same_run(found, reference, optim)


def test_one_pair_of_processes_equals_one_process(tmp_path: Path) -> None:
    reference, _ = train(32, 1, "sgd", "uw", layout="padded")
    found = train_on_processes(tmp_path, 2, 8, 2, "sgd", "uw", "packed")
    assert_same_run(found, reference, "sgd")


@pytest.mark.slow
def test_workers_change_no_bit_on_two_processes(tmp_path: Path) -> None:
    run = (tmp_path, 2, 8, 2, "adamw_torch", "uw", "packed")
    learned = {"mixture": {"learn": {"every": 3, "lr": 5.0}}}  # decided by the losses before each window
    alone = train_on_processes(*run, **learned)
    helped = train_on_processes(*run, **learned, dataloader_num_workers=2)
    assert alone.keys() == helped.keys()
    assert all(torch.equal(alone[name], helped[name]) for name in alone)


# What samples, has penalties or running statistics must not depend on the partition either.
PROBABILISTIC: dict[str, dict[str, Any]] = {
    "vip": {"type": "vip"},
    "mt_vib": {"type": "mt_vib"},
    # Its priors mix from the step on in which the warm-up ends; large factors let what they learn be seen.
    "vmtl": {"type": "vmtl", "warmup_steps": 4, "latent_beta": 0.1, "weight_beta": 0.1},
    "hierarchical": {"type": "hierarchical"},
}


@pytest.mark.parametrize("optim", some_fast(["sgd", "adamw_torch"], "sgd"))
def test_accumulation_does_not_change_the_update_of_vip(optim: str) -> None:
    reference, _ = train(32, 1, optim, "uw", layout="padded", head="vip")
    for per_device, accumulation, layout in [(32, 1, "packed"), (8, 4, "groups")]:
        found, _ = train(per_device, accumulation, optim, "uw", layout, head="vip")
        assert_same_run(found, reference, optim)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBABILISTIC)
def test_processes_do_not_change_the_update_of_probabilistic_heads(tmp_path: Path, name: str) -> None:
    head = PROBABILISTIC[name]
    reference, _ = train(32, 1, "sgd", "uw", layout="padded", head=head)
    for per_device, accumulation in [(16, 1), (8, 2)]:
        found = train_on_processes(tmp_path, 2, per_device, accumulation, "sgd", "uw", "packed", head=head)
        assert_same_run(found, reference, "sgd")


def test_a_different_seed_is_noticed() -> None:
    reference, _ = train(32, 1, "sgd", "ew", layout="packed")
    other, _ = train(32, 1, "sgd", "ew", layout="packed", data_seed=7)
    with pytest.raises(AssertionError):
        assert_same_run(other, reference, "sgd")
