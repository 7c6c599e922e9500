"""Runs in processes of their own, killed without warning at chosen moments."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from hf_mtl.training.folder.run_record import STAGING
from tests import tiny

ROOT = Path(__file__).parents[2]
EVAL_STEPS = 5


def write_recipe(folder: Path, **training: object) -> Path:
    """The tiny world as files and a recipe; relative to the recipe, as a user would write it."""
    splits = {
        "train": tiny.datasets({"topic": 203, "mood": 61, "score": 97}),
        "validation": tiny.datasets({"topic": 50, "mood": 31, "score": 41}, seed=1),
    }
    tasks = {name: {**task.for_config()} for name, task in tiny.TASKS.items()}
    for split, found in splits.items():
        for name, dataset in found.items():
            dataset.to_json(str(folder / f"{name}.{split}.jsonl"))
            files = tasks[name].setdefault("dataset", {"path": "json", "data_files": {}})["data_files"]
            files[split] = f"./{name}.{split}.jsonl"
    options = {
        "per_device_train_batch_size": 8,
        "max_steps": 40,
        "logging_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": EVAL_STEPS,
        "per_device_eval_batch_size": 1,
        "save_steps": EVAL_STEPS,
        "save_total_limit": 3,
        "learning_rate": 1e-3,
        "early_stopping_patience": 20,
        "metric_for_best_model": "average",
        "load_best_model_at_end": True,
        "window_steps": 7,
        "use_cpu": True,
        "disable_tqdm": True,
        **training,
    }
    recipe = {
        "model": {
            "backbone": {**{k: v for k, v in tiny.BERT.items() if k != "vocab_size"}, "hidden_dropout_prob": 0.1},
            "tokenizer": {"train": "wordpiece", "vocab_size": 200},
            "max_length": 24,
        },
        "tasks": tasks,
        "mixture": {"anneal": {"start": 1.0, "end": 5.0}},
        "balancing": {"weighting": "uw"},
        "training": options,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def start(recipe: Path, output: Path, processes: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Begin `hf-mtl train` in a process group of its own."""
    launcher = (
        [] if processes == 1 else ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    )
    command = [
        sys.executable,
        "-m",
        *launcher,
        "hf_mtl",
        "train",
        str(recipe),
        f"training.output_dir={output}",
        *arguments,
    ]
    return subprocess.Popen(
        command,
        start_new_session=True,
        cwd=recipe.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(recipe.parent / "hf")},
        stdout=subprocess.DEVNULL,
        stderr=(recipe.parent / "stderr.txt").open("ab"),
    )


def workers(process: subprocess.Popen[bytes], processes: int) -> list[int]:
    """The training processes: it itself, or those that a launcher has started so far."""
    if processes == 1:
        return [process.pid]
    try:
        children = psutil.Process(process.pid).children()
        return [child.pid for child in children if "hf_mtl" in child.cmdline()]
    except psutil.Error:
        return []


def send(process: subprocess.Popen[bytes], processes: int, how: str, random_state: random.Random) -> None:
    """End a run: without warning, or by a signal to all of it, to the launcher, or to one of its processes."""
    with contextlib.suppress(ProcessLookupError):  # it has ended in the meantime
        if how == "kill":
            os.killpg(process.pid, signal.SIGKILL)
        elif how == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)
        elif how == "terminate all":
            os.killpg(process.pid, signal.SIGTERM)
        elif how == "terminate":
            process.terminate()
        elif found := workers(process, processes):
            os.kill(random_state.choice(found), signal.SIGTERM)


HOW = ("kill", "ctrl-c", "terminate all", "terminate", "terminate one")


def train(recipe: Path, output: Path, processes: int, *arguments: str) -> None:
    """Run to the end."""
    process = start(recipe, output, processes, *arguments)
    assert process.wait() == 0, (recipe.parent / "stderr.txt").read_text()[-3000:]


def last_record(output: Path) -> dict[str, float]:
    """The newest complete line of the log."""
    try:
        lines = (output / "log.jsonl").read_text().split("\n")[:-1]
        return json.loads(lines[-1])
    except (OSError, IndexError, ValueError):
        return {}


def in_a_save(output: Path) -> bool:
    return (output / STAGING).is_dir() and any((output / STAGING).iterdir())


def in_evaluation(output: Path) -> bool:
    record = last_record(output)
    return "loss" in record and record["step"] % EVAL_STEPS == 0


def in_a_step(output: Path) -> bool:
    return "loss" in last_record(output)


def in_the_end(output: Path) -> bool:
    """After the last step, while it is scored, published and written down."""
    try:
        return '"train_runtime"' in (output / "log.jsonl").read_text() and not (output / "results.json").exists()
    except OSError:
        return False


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "save": in_a_save,
    "evaluation": in_evaluation,
    "step": in_a_step,
    "end": in_the_end,
}


def kill_at(
    recipe: Path, output: Path, processes: int, moment: str, random_state: random.Random, how: str = "kill"
) -> bool:
    """Resume the run and end it once it has gone on a little and the moment has come; False if it ended before."""
    before = last_record(output).get("step", 0)
    process = start(recipe, output, processes, "--resume")
    place = random_state.randint(1, EVAL_STEPS - 1)  # of the step to be killed in, between two evaluations
    while process.poll() is None:
        now = last_record(output).get("step", 0)
        # A resumed run first cuts its log back to its checkpoint.
        here = moment != "step" or now % EVAL_STEPS == place
        if now != before and here and MOMENTS[moment](output):
            time.sleep(random_state.random() * 0.004)
            send(process, processes, how, random_state)
            return process.wait(timeout=120) != 0
        time.sleep(0.001)
    assert process.returncode == 0, (recipe.parent / "stderr.txt").read_text()[-3000:]
    return False
