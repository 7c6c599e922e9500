"""Records of a study that was never run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.results import Record
from hf_mtl.reporting.json_files import append_jsonl

TASKS = ("emotion", "irony", "stance", "hate")
LIFT = {"emotion": 0.04, "irony": 0.0, "stance": -0.03, "hate": 0.002}
"""What training together adds to each task's score."""
ZERO = dict.fromkeys(TASKS, 0.0)
Arms = Mapping[str, Mapping[str, float]]


def run(arm: str, seed: int, scores: Mapping[str, float | None], task: str | None = None, **more: Any) -> Record:
    """A finished run with these test scores."""
    validation = {name: None if value is None else value + 0.01 for name, value in scores.items()}
    metrics = {name: {"f1_macro": value, "loss": 1.0} for name, value in scores.items()}
    return {
        **{"kind": "run", "arm": arm, "seed": seed, "task": task, "fold": None},
        "identity": f"{arm} {seed} {task}",
        **{"validation": metrics, "test": metrics, "scores": {"validation": validation, "test": dict(scores)}},
        "lower_is_better": {name: {"f1_macro": False} for name in scores},
        **{"steps": 400, "step": 300, "ended_by": "max_steps", "seconds": 90.0, "wall": 100.0, "notes": []},
        **{"flops": 4e12 / (1 if task is None else 4), "backward_passes": 400},
        "rows": {name: {"train": 2000, "validation": 300, "test": 600} for name in scores},
        "passes": {name: 2.0 for name in scores},
        "curve": [
            {
                "step": step,
                "flops": step * 1e10,
                "scores": {name: (value or 0) - 40 / step for name, value in scores.items()},
            }
            for step in (100, 200, 300, 400)
        ],
        "train_losses": {name: 0.4 for name in scores},
        **{"cosines": None, "conflict_rate": None, "contamination": None, "baselines": None},
        **more,
    }


def study(
    arms: Arms, seeds: int = 5, noise: float = 0.004, random: int = 0, tasks: Sequence[str] = TASKS, **more: Any
) -> list[Record]:
    """The runs of single tasks and of joint arms that lift each task's score by so much."""
    draw, records = np.random.default_rng(random), []
    for seed in range(seeds):
        level = {task: 0.6 + 0.05 * place for place, task in enumerate(tasks)}
        for task in tasks:
            records.append(run("single_task", seed, {task: level[task] + draw.normal(0, noise)}, task))
        for arm, lift in arms.items():
            records.append(
                run(arm, seed, {task: level[task] + lift[task] + draw.normal(0, noise) for task in tasks}, **more)
            )
    return records


def evidence(difference: float, half: float = 1.0) -> dict[str, Any]:
    """The paired bootstrap of one task, as a record has it."""
    found = {"difference": difference, "low": difference - half, "high": difference + half}
    return {
        **found,
        "low90": difference - 0.8 * half,
        "high90": difference + 0.8 * half,
        "p": 0.001,
        "n": 600,
        "by": "rows",
    }


def write(folder: Path, records: Sequence[Record], arms: Sequence[str], **more: Any) -> Path:
    """A study's folder with these records."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        append_jsonl(folder / "results.jsonl", record)
    named = {arm: arm if arm == "single_task" else {} for arm in arms}
    said = {"base": "x.yaml", "arms": named, "seeds": 5, "budget": {"equal": "flops"}, **more}
    (folder / "study.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return folder


def asked(*arms: str, seeds: int = 5, **more: Any) -> Question:
    """The question of these arms beside single tasks."""
    return Question("study", ("single_task", *arms), "single_task", tuple(range(seeds)), **more)


def words(found: Answer, arm: str) -> dict[str, str]:
    """The verdict of each task."""
    return {task: found.verdicts[arm, task].word for task in found.tasks}


Changed = Callable[[Record], Record]
