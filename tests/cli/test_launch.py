"""Two processes, started as users start them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.training.folder.run_lock import run_lock
from tests.training import runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LAUNCHERS = {
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"],
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        yield runs.write_recipe(folder, max_steps=4, eval_steps=2, save_steps=2)


def launch(launcher: str, recipe: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    options = ["--mixed_precision", "no", "--dynamo_backend", "no"] if launcher == "accelerate" else []
    return start(*LAUNCHERS[launcher], *options, "-m", "hf_mtl", *words, folder=recipe.parent)


def start(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
            "HF_HOME": str(folder / "hf"),
        },
        check=False,
    )


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_one_run_and_speak_with_one_voice(recipe: Path, tmp_path: Path, launcher: str) -> None:
    run = tmp_path / "run"
    size = "training.per_device_train_batch_size=4"
    done = launch(launcher, recipe, "train", "recipe.yaml", size, f"training.output_dir={run}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("\nvalidation\n") == 1
    assert done.stdout.count("The model is in ") == 1
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "loss" in record] == [1, 2, 3, 4]
    assert [record["step"] for record in records if "eval_average" in record] == [2, 4, 4]
    assert (run / "checkpoint-4" / "rng_state_1.pth").exists()

    alone = tmp_path / "alone"
    runs.train(recipe, alone, "model.dropout=0.0")
    again = launch(
        launcher,
        recipe,
        "train",
        "recipe.yaml",
        size,
        "model.dropout=0.0",
        f"training.output_dir={tmp_path / 'both'}",
    )
    assert again.returncode == 0, again.stderr[-3000:]
    one, two = (json.loads((folder / "results.json").read_text()) for folder in (alone, tmp_path / "both"))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)

    scored = launch(launcher, recipe, "evaluate", str(tmp_path / "both"))
    assert scored.returncode == 0, scored.stderr[-3000:]
    assert scored.stdout.count("\nvalidation\n") == 1
    assert f"{two['average']:.4f}" in scored.stdout


def test_a_mistake_is_said_once_and_nobody_waits(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "recipe.yaml", f"training.output_dir={run}", "tasks.mood.label=lable"]
    done = launch("accelerate", recipe, *words)
    assert done.returncode != 0
    assert done.stderr.count("hf-mtl train: 1 mistake") == 1
    assert done.stderr.count("tasks.mood.label: no column 'lable' in train, validation.") == 1
    assert not run.exists()


def test_a_mistake_of_one_process_is_said_by_it_and_the_others_end(recipe: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import os, sys\nfrom hf_mtl.cli.main import main\n"
        "sys.exit(main(sys.argv[1:] + ['training.learning_rat=1'] * int(os.environ['RANK'])))\n"
    )
    words = [str(own), "train", "recipe.yaml", f"training.output_dir={tmp_path / 'run'}"]
    done = start(*LAUNCHERS["torchrun"], *words, folder=recipe.parent)
    assert done.returncode != 0
    assert done.stderr.count("unknown key 'learning_rat'") + done.stdout.count("unknown key") == 1
    assert "process 1 of 2, on " in done.stderr
    assert "exitcode  : 2" in done.stderr


def test_a_folder_in_use_refuses_two_processes_with_one_message(recipe: Path, tmp_path: Path) -> None:
    with run_lock(tmp_path / "run"):
        words = ["train", "recipe.yaml", f"training.output_dir={tmp_path / 'run'}"]
        done = launch("torchrun", recipe, *words)
        assert done.returncode != 0
        assert done.stderr.count(f"is in use by another run: process {os.getpid()} on ") == 1
    assert not (tmp_path / "run").exists()


def multi_cpu(folder: Path) -> list[str]:
    """As ``accelerate config`` writes it for CPUs."""
    config = folder / "cpus.yaml"
    config.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_CPU\nnum_machines: 1\nnum_processes: 2\n"
        "mixed_precision: 'no'\nuse_cpu: true\n"
    )
    return ["--config_file", str(config)]


@pytest.mark.parametrize("asked", ["num_processes", "config"])
def test_accelerate_that_starts_one_process_of_two_is_a_mistake(recipe: Path, tmp_path: Path, asked: str) -> None:
    run = tmp_path / "run"
    options = multi_cpu(tmp_path) if asked == "config" else ["--num_processes", "2"]
    words = ["train", "recipe.yaml", f"training.output_dir={run}"]
    done = start("accelerate.commands.launch", *options, "-m", "hf_mtl", *words, folder=recipe.parent)
    assert done.returncode != 0
    assert "exit status 2" in done.stderr
    assert "hf-mtl train: 1 mistake\n" in done.stderr
    assert "accelerate launch: was to start several processes, and started only this one" in done.stderr
    assert not run.exists()
