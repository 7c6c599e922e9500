"""Does going from many tasks to one (MT2ST) help the primary task, and what does it cost?

LingNLI is the primary task, SST-2 and QQP are auxiliary. Every step has 32 rows of each task that takes part: a step
of single-task learning is what is left of a step when the auxiliary tasks have gone. Run it through
scripts/reproduce_mt2st. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 300 steps, 9,600 training rows of the primary task and 4,000 of
each other, three seeds; about 50 minutes on two cores. What the frozen layers give for a text is computed once and
remembered, so the seconds of a run leave their forward out; its floating point operations count it in every step, as
a run without the memory has it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

import where

from hf_mtl.experiments.draws import Splits, draw, sample
from hf_mtl.experiments.frozen_recipe import FrozenRecipe, Trained
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.study import Study, StudySettings
from hf_mtl.experiments.watchers import LearningCurve
from hf_mtl.recipe import load_recipe

RECIPES = where.RECIPES / "mt2st"
MAIN = "nli"
# Arms and the recipes whose schedules they have. STL trains the primary task alone for as many steps, `stl_long` for
# as many operations as MTL executes.
ARMS: dict[str, str | None] = {
    "stl": None,
    "stl_long": None,
    "mtl": "base",
    "diminish": "mt2st-diminish",
    "diminish_sampling": "mt2st-diminish-sampling",
    "switch": "mt2st-switch",
    "feedback": "mt2st-feedback",
}
# What the results keep of a log record: losses, shares and coefficients of the tasks.
KEPT = ("loss/", "share/", "coefficient/")


@dataclass(frozen=True)
class Settings(StudySettings):
    """Settings that are the same in every arm."""

    steps: int = 300
    rows: int = 4000  # training rows of an auxiliary task, another draw for each seed
    seeds: tuple[int, ...] = (0, 1, 2)
    main_rows: int = 9600  # of the primary one: as many as a run draws of it, which learns little from repeats
    evaluations: int = 12
    frozen_layers: int = 4
    rows_per_task: int = 32
    validation_rows: int = 800
    test_rows: int = 4000  # of the primary task, which has 3,681
    auxiliary_test_rows: int = 1000
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3

    def fitted(self) -> Self:
        """Score a try on no more rows than it trains on."""
        counts = ("validation_rows", "test_rows", "auxiliary_test_rows")
        limits = {count: min(getattr(self, count), self.rows) for count in counts}
        return replace(self, **limits, main_rows=min(self.main_rows, 3 * self.rows))


class Bench:
    """The rows of all tasks, those of one seed at a time."""

    def __init__(self, settings: Settings):
        self.settings = settings
        tasks = load_recipe(RECIPES / "base.yaml").tasks
        self.rows = {task: settings.main_rows if task == MAIN else settings.rows for task in tasks}
        pool = [f"tasks.{task}.max_rows={2 * count}" for task, count in self.rows.items()]
        self.recipe = FrozenRecipe(RECIPES / "local-base.yaml", settings.frozen_layers, pool)
        self.pool = self.recipe.encode("train")
        self.validation = {MAIN: sample(self.recipe.encode("validation"), settings.validation_rows)[MAIN]}
        test = self.recipe.encode("test")
        self.test = sample(test, settings.auxiliary_test_rows) | sample({MAIN: test[MAIN]}, settings.test_rows)
        self.train_rows = lru_cache(maxsize=1)(self._train_rows)

    def _train_rows(self, seed: int) -> Splits:
        """Draw the training rows of a seed, the same for all arms, and encode them."""
        rows = draw(self.pool, self.rows, seed)
        self.recipe.features.forget()  # memory is for one seed
        self.recipe.warm(self.validation)
        self.recipe.warm(rows)
        return rows

    def steps(self, arm: str, rows: Splits) -> int:
        """Count the steps of an arm: the budget, and for `stl_long` as many as have MTL's tokens."""
        if arm != "stl_long":
            return self.settings.steps
        tokens = {task: split.tokens.lengths.mean() for task, split in rows.items()}
        return round(self.settings.steps * sum(tokens.values()) / tokens[MAIN])


def train(bench: Bench, arm: str, seed: int, folder: Path) -> Trained:
    """Train one arm."""
    settings, rows = bench.settings, bench.train_rows(seed)
    method = load_recipe(RECIPES / f"{ARMS[arm] or 'base'}.yaml")
    tasks = [MAIN] if ARMS[arm] is None else list(bench.recipe.tasks)
    steps = bench.steps(arm, rows)
    every = max(steps // settings.evaluations, 1)
    arguments = {
        "output_dir": str(folder),
        "max_steps": steps,
        "eval_steps": every,
        "learning_rate": settings.learning_rate,
        "head_learning_rate": settings.head_learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "per_device_train_batch_size": settings.rows_per_task * len(tasks),
        "window_steps": every,  # a check of the feedback takes effect in the very next step
        "seed": seed,
    }
    return bench.recipe.train(
        bench.recipe.model(tasks, seed),
        (rows, bench.validation),
        LearningCurve(f"eval_{MAIN}_accuracy", f"eval_{MAIN}_loss"),
        arguments,
        mixture=method.mixture.options(),
        # weights of 1, whatever the number of tasks: L_0 + sum_k gamma_k L_k
        balancing={"weighting": {"name": "ew", "weight_sum": float(len(tasks))}, "exposure": "tasks"},
        schedules=[item.model_dump(exclude_unset=True) for item in method.schedules],
    )


def measure(bench: Bench, arm: str, seed: int, folder: Path) -> Record:
    """Do one run of an arm."""
    trained = train(bench, arm, seed, folder)
    test = {task: rows for task, rows in bench.test.items() if task in trained.trainer.tasks}
    scores = trained.predict(test).scores
    return {
        "points": trained.curve.points,
        "best": trained.curve.best,
        "test": {task: values["accuracy"] for task, values in scores.items()},
        "log": trained.log(lambda key: key.startswith(KEPT)),
    }


def say(record: Record) -> str:
    """Put a finished run in words."""
    best = record["best"]
    return f"{best['score']:.4f} at {best['step']}, test {record['test']}, {record['seconds']} s"


def arms_of_seeds(settings: Settings) -> dict[int, list[str]]:
    """List the arms of each seed."""
    return {seed: list(ARMS) for seed in settings.seeds}


STUDY = Study(where.places("mt2st"), Settings(), "an auxiliary task", arms_of_seeds, Bench, measure, say)

if __name__ == "__main__":
    STUDY.work(__doc__)
