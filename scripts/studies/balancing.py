"""Which balancing method when: all of them on AffectEval, with the same rows, steps and learning rate.

Run it through scripts/reproduce_balancing. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 400 steps of 32 rows (every task 8 of them), 3,000 training rows
of a task, another draw for each seed. Equal weighting has more seeds than the others, to show what chance does.
"""

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from frozen_study import FrozenStudy, Splits
from study import ROOT, Results, study_parser, work_through

from hf_mtl.balancing import available
from hf_mtl.evaluation import aggregate

BASELINE = "ew"
# Weights and signs are the user's to choose, and `cost` trains for two epochs more.
LEFT_OUT = ("fixed", "ngdiff", "cost")


@dataclass(frozen=True)
class Settings:
    """What is the same in every arm."""

    steps: int = 400
    rows: int = 3000  # training rows of a task
    evaluations: int = 4
    frozen_layers: int = 4
    rows_per_step: int = 32
    validation_rows: int = 300
    test_rows: int = 1000
    learning_rate: float = 5e-4
    head_learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0, 1)
    baseline_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


def arms() -> dict[str, dict[str, Any]]:
    """The balancing section of every arm."""
    found: dict[str, dict[str, Any]] = {BASELINE: {"weighting": "ew"}}
    for name, family in available().items():
        if name not in (BASELINE, *LEFT_OUT):
            found[name] = {family: name}
    # Windows and warm-ups that an epoch decides would not end within this budget.
    found["dwa"] = {"weighting": {"name": "dwa", "window_steps": 50}}
    found["stch"] = {"weighting": {"name": "stch", "variant": "plain"}}
    found["db_mtl, beta 0"] = {"aggregator": {"name": "db_mtl", "beta": 0.0}}
    found["uw+pcgrad"] = {"weighting": "uw", "aggregator": "pcgrad"}
    found["single tasks"] = {}
    return found


class Benchmark:
    """The rows of all tasks, those of one seed at a time."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.study = FrozenStudy(ROOT / "recipes" / "affecteval" / "local-base.yaml", settings.frozen_layers)
        self.train = self.study.encode("train")
        self.validation = self.study.some("validation", settings.validation_rows)
        self.test = self.study.some("test", settings.test_rows)
        self._seed: int | None = None
        self._sample: Splits = {}

    def sample(self, seed: int) -> Splits:
        """The training rows of a seed, the same for all arms, encoded."""
        if seed != self._seed:
            self._seed, self._sample = seed, {}
            for task, split in self.train.items():
                rows = np.random.default_rng([seed, *task.encode()]).permutation(len(split))
                self._sample[task] = split.select(rows[: self.settings.rows])
            self.study.warm(self._sample)
        return self._sample


def train(benchmark: Benchmark, balancing: dict[str, Any], tasks: list[str], seed: int, folder: Path) -> Any:
    """Train some tasks and give the Trainer, with the best evaluation's parameters, and its progress."""
    settings = benchmark.settings
    share = len(tasks) / len(benchmark.study.tasks)
    arguments = {
        "output_dir": str(folder),
        "max_steps": settings.steps,
        "eval_steps": max(settings.steps // settings.evaluations, 1),
        "learning_rate": settings.learning_rate,
        "head_learning_rate": settings.head_learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "per_device_train_batch_size": round(settings.rows_per_step * share),
        "seed": seed,
    }
    found = benchmark.study.train(
        benchmark.study.model(tasks, seed),
        benchmark.sample(seed),
        benchmark.validation,
        "eval_average",
        "eval_loss",
        arguments,
        mixture={"temperature": "uniform"},
        balancing={"reduction": "tasks", **balancing},
    )
    shutil.rmtree(folder, ignore_errors=True)
    return found


def run(benchmark: Benchmark, arm: str, seed: int, results: Results, work: Path) -> dict[str, Any]:
    """One run of an arm: one model, or one for each task."""
    settings, tasks = benchmark.settings, list(benchmark.study.tasks)
    key = {"arm": arm, "seed": seed, "steps": settings.steps, "rows": settings.rows}
    started, scores, points, log = time.time(), {}, [], []
    for group in [[task] for task in tasks] if arm == "single tasks" else [tasks]:
        trainer, progress = train(benchmark, arms()[arm], group, seed, work / "trainer" / f"{arm}-{seed}")
        scores |= trainer.score({task: benchmark.test[task] for task in group}).tasks
        points.append(progress.points)
        log += [kept(item) for item in trainer.state.log_history if "loss" in item]
    record = {
        **key,
        "points": points,
        "test": scores,
        **aggregate(scores, {task: benchmark.study.tasks[task] for task in scores}),
        "log": log,
        "seconds": round(time.time() - started, 1),
    }
    print(f"{key}: average {record['average']:.4f}, worst {record['worst']:.4f}, {record['seconds']} s", flush=True)
    return results.add(record)


def kept(item: dict[str, float]) -> dict[str, float]:
    """What the results keep of a log record: losses, weights, cosines and conflicts."""
    prefixes = ("loss/", "weight/", "aggregator_weight/", "gradient_", "conflict_rate")
    return {key: round(value, 5) for key, value in item.items() if key == "step" or key.startswith(prefixes)}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of the study and of its report."""
    return study_parser("balancing", Settings, "a task", description)


def chosen(options: argparse.Namespace) -> Settings:
    """The settings of the study; a try is not scored on more rows than it trains on."""
    limits = {count: min(getattr(Settings, count), options.rows) for count in ("validation_rows", "test_rows")}
    seeds = {"seeds": Settings.seeds[: options.seeds]}
    if options.seeds < len(Settings.seeds):
        seeds["baseline_seeds"] = seeds["seeds"]
    return Settings(steps=options.steps, rows=options.rows, **seeds, **limits)


def plan(settings: Settings) -> dict[int, list[str]]:
    """The arms of each seed."""
    return {seed: list(arms()) if seed in settings.seeds else [BASELINE] for seed in settings.baseline_seeds}


def main() -> None:
    """Do what is left of the study."""
    work_through(parser(__doc__), chosen, plan, Benchmark, run)


if __name__ == "__main__":
    main()
