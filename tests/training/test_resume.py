"""A killed run that is resumed ends in the same bits as one that was not."""

import itertools
import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training import killing

TIMES = ("runtime", "per_second")


def same(left: object, right: object) -> bool:
    """Equal bits, through nested containers."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return left == right


def log_without_times(run: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    kept = [record for record in records if "train_runtime" not in record]
    return [{k: v for k, v in record.items() if not any(word in k for word in TIMES)} for record in kept]


def assert_same_bits(run: Path, reference: Path) -> None:
    assert (run / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    last = max(reference.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])).name
    for name in ("optimizer.pt", "scheduler.pt"):
        mine, other = (torch.load(folder / last / name, weights_only=True) for folder in (run, reference))
        assert same(mine, other), name
    for name in ("model.safetensors", "multi_task_state.safetensors"):
        assert same(load_file(run / last / name), load_file(reference / last / name)), name
    assert json.loads((run / "results.json").read_text()) == json.loads((reference / "results.json").read_text())
    assert log_without_times(run) == log_without_times(reference)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [1, 2])
def test_ten_kills_change_nothing(tmp_path: Path, processes: int) -> None:
    recipe = killing.write_recipe(tmp_path)
    killing.train(recipe, tmp_path / "reference", processes)
    random_state = random.Random(processes)
    run, killed = tmp_path / "run", []
    for moment in itertools.cycle(["step", "save", "evaluation"]):
        if not killing.kill_at(recipe, run, processes, moment, random_state):
            # It ended too soon to be killed ten times: another run of the same recipe goes on with the kills.
            assert_same_bits(run, tmp_path / "reference")
            run = tmp_path / f"run-{len(killed)}"
            continue
        killed.append(moment)
        if len(killed) == 10:
            break
    killing.train(recipe, run, processes, "--resume")
    assert_same_bits(run, tmp_path / "reference")
    assert {"step", "save", "evaluation"} <= set(killed)


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    recipe = killing.write_recipe(tmp_path, max_steps=20)
    killing.train(recipe, tmp_path / "reference", 1)
    assert killing.kill_at(recipe, tmp_path / "run", 1, "save", random.Random(0))
    killing.train(recipe, tmp_path / "run", 1, "--resume")
    assert_same_bits(tmp_path / "run", tmp_path / "reference")


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_another_number_of_processes_goes_on_with_the_same_plan(tmp_path: Path, first: int, second: int) -> None:
    options = {"optim": "sgd", "learning_rate": 0.05, "max_steps": 20, "lr_scheduler_type": "constant"}
    recipe = killing.write_recipe(tmp_path, **options, load_best_model_at_end=False)
    recipe.write_text(recipe.read_text().replace("hidden_dropout_prob: 0.1", "hidden_dropout_prob: 0.0"))
    no_dropout = "model.dropout=0.0"
    sizes = {processes: f"training.per_device_train_batch_size={16 // processes}" for processes in (1, 2)}
    killing.train(recipe, tmp_path / "reference", first, no_dropout, sizes[first])
    # The same run, stopped at its tenth step by taking the later checkpoints and the results away.
    killing.train(recipe, tmp_path / "run", first, no_dropout, sizes[first])
    for name in ("checkpoint-15", "checkpoint-20"):
        (tmp_path / "run" / name).rename(tmp_path / f"removed-{name}")
    (tmp_path / "run" / "results.json").unlink()
    killing.train(recipe, tmp_path / "run", second, no_dropout, sizes[first], "--resume")

    mine, other = (
        load_file(tmp_path / run / "checkpoint-20/multi_task_state.safetensors") for run in ("run", "reference")
    )
    assert torch.equal(mine["steps/cursors"], other["steps/cursors"])
    shares = [
        [
            {k: v for k, v in r.items() if k.startswith(("share/", "passes/"))}
            for r in log_without_times(tmp_path / run)
        ]
        for run in ("run", "reference")
    ]
    assert shares[0] == shares[1]
    start, end, found = (
        load_file(path / "model.safetensors")
        for path in (
            tmp_path / "reference/checkpoint-10",
            tmp_path / "reference/checkpoint-20",
            tmp_path / "run/checkpoint-20",
        )
    )
    for name, weight in end.items():
        update = (weight.double() - start[name].double()).norm()
        if update > 0 and not name.endswith("key.bias"):  # softmax does not see a key's bias
            assert (found[name].double() - weight.double()).norm() / update < 1e-4, name
