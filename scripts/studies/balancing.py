"""Balancing methods compared: all of them on AffectEval, with the same rows, steps and learning rate.

Run it through scripts/reproduce_balancing. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 400 steps of 32 rows (every task 8 of them), 3,000 training rows
of a task, another draw for each seed. Equal weighting has more seeds than the others, to show what chance does.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import where

from hf_mtl.balancing import available
from hf_mtl.evaluation import aggregate
from hf_mtl.experiments.draws import Splits, draw, sample
from hf_mtl.experiments.frozen_recipe import FrozenRecipe, Trained
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.study import Study, StudySettings
from hf_mtl.experiments.watchers import LearningCurve

RECIPE = where.RECIPES / "affecteval" / "local-base.yaml"
BASELINE = "ew"
# Weights and signs are the user's to choose, and `cost` trains for two epochs more.
LEFT_OUT = ("fixed", "ngdiff", "cost")
# What the results keep of a log record: losses, weights, cosines and conflicts.
KEPT = ("loss/", "weight/", "aggregator_weight/", "gradient_", "conflict_rate")


@dataclass(frozen=True)
class Settings(StudySettings):
    """Settings that are the same in every arm."""

    steps: int = 400
    rows: int = 3000  # training rows of a task
    seeds: tuple[int, ...] = (0, 1)
    baseline_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    evaluations: int = 4
    frozen_layers: int = 4
    rows_per_step: int = 32
    validation_rows: int = 300
    test_rows: int = 1000
    learning_rate: float = 5e-4
    head_learning_rate: float = 1e-3

    def fitted(self) -> Self:
        """Score a try on no more rows than it trains on, and give its baseline no more seeds than the others."""
        limits = {count: min(getattr(self, count), self.rows) for count in ("validation_rows", "test_rows")}
        is_try = len(self.seeds) < len(Settings.seeds)
        return replace(self, **limits, baseline_seeds=self.seeds if is_try else self.baseline_seeds)


def arms() -> dict[str, dict[str, Any]]:
    """Write the balancing section of every arm."""
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


class Bench:
    """The rows of all tasks, those of one seed at a time."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.recipe = FrozenRecipe(RECIPE, settings.frozen_layers)
        self.pool = self.recipe.encode("train")
        self.validation = sample(self.recipe.encode("validation"), settings.validation_rows)
        self.test = sample(self.recipe.encode("test"), settings.test_rows)
        self.train_rows = lru_cache(maxsize=1)(self._train_rows)

    def _train_rows(self, seed: int) -> Splits:
        """Draw the training rows of a seed, the same for all arms, and encode them."""
        rows = draw(self.pool, dict.fromkeys(self.pool, self.settings.rows), seed)
        self.recipe.warm(rows)
        return rows


def train(bench: Bench, balancing: dict[str, Any], tasks: list[str], seed: int, folder: Path) -> Trained:
    """Train some tasks."""
    settings = bench.settings
    share = len(tasks) / len(bench.recipe.tasks)
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
    return bench.recipe.train(
        bench.recipe.model(tasks, seed),
        (bench.train_rows(seed), bench.validation),
        LearningCurve("eval_average", "eval_loss"),
        arguments,
        mixture={"temperature": "uniform"},
        balancing={"exposure": "tasks", **balancing},
    )


def measure(bench: Bench, arm: str, seed: int, folder: Path) -> Record:
    """Do one run of an arm: one model, or one for each task."""
    tasks = list(bench.recipe.tasks)
    scores: dict[str, dict[str, float]] = {}
    points, log = [], []
    for group in [[task] for task in tasks] if arm == "single tasks" else [tasks]:
        trained = train(bench, arms()[arm], group, seed, folder)
        scores |= trained.predict({task: bench.test[task] for task in group}).scores
        points.append(trained.curve.points)
        log += trained.log(lambda key: key.startswith(KEPT))
    of_scores = {task: bench.recipe.tasks[task] for task in scores}
    return {"points": points, "test": scores, **aggregate(scores, of_scores), "log": log}


def say(record: Record) -> str:
    """Put a finished run in words."""
    return f"average {record['average']:.4f}, worst {record['worst']:.4f}, {record['seconds']} s"


def arms_of_seeds(settings: Settings) -> dict[int, list[str]]:
    """List the arms of each seed."""
    return {seed: list(arms()) if seed in settings.seeds else [BASELINE] for seed in settings.baseline_seeds}


STUDY = Study(where.places("balancing"), Settings(), "a task", arms_of_seeds, Bench, measure, say)

if __name__ == "__main__":
    STUDY.work(__doc__)
