"""Does going from many tasks to one (MT2ST) help the primary task, and what does it cost?

LingNLI is the primary task, SST-2 and QQP are auxiliary. Every step has 32 rows of each task that takes part: a step
of single-task learning is what is left of a step when the auxiliary tasks have gone. Run it through
scripts/reproduce_mt2st. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 300 steps, 9,600 training rows of the primary task and 4,000 of
each other, three seeds; about 50 minutes on two cores. What the frozen layers give for a text is computed once and
remembered, so the seconds of a run leave their forward out; its floating point operations count it in every step, as
a run without the memory has it.
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

from hf_mtl.recipe import load_recipe

RECIPES = ROOT / "recipes" / "mt2st"
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


@dataclass(frozen=True)
class Settings:
    """What is the same in every arm."""

    steps: int = 300
    rows: int = 4000  # training rows of an auxiliary task, another draw for each seed
    main_rows: int = 9600  # of the primary one: as many as a run draws of it, which learns little from repeats
    evaluations: int = 12
    frozen_layers: int = 4
    rows_per_task: int = 32
    validation_rows: int = 800
    test_rows: int = 4000  # of the primary task, which has 3,681
    auxiliary_test_rows: int = 1000
    learning_rate: float = 3e-4
    head_learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0, 1, 2)


class Benchmark:
    """The rows of all tasks, those of one seed at a time."""

    def __init__(self, settings: Settings):
        self.settings = settings
        tasks = load_recipe(RECIPES / "base.yaml").tasks
        pool = [f"tasks.{task}.max_rows={2 * self.rows_of(task)}" for task in tasks]
        self.study = FrozenStudy(RECIPES / "local-base.yaml", settings.frozen_layers, pool)
        self.train = self.study.encode("train")
        self.validation = {MAIN: self.study.some("validation", settings.validation_rows)[MAIN]}
        self.test = self.study.some("test", settings.auxiliary_test_rows)
        self.test[MAIN] = self.study.some("test", settings.test_rows)[MAIN]
        self.study.warm(self.validation)
        self._seed: int | None = None
        self._sample: Splits = {}

    def rows_of(self, task: str) -> int:
        """Training rows of a task."""
        return self.settings.main_rows if task == MAIN else self.settings.rows

    def sample(self, seed: int) -> Splits:
        """The training rows of a seed, the same for all arms, encoded."""
        if seed != self._seed:
            self.study.features.forget()  # memory is for one seed
            self.study.warm(self.validation)
            self._seed, self._sample = seed, {}
            for task, split in self.train.items():
                rows = np.random.default_rng([seed, *task.encode()]).permutation(len(split))
                self._sample[task] = split.select(rows[: self.rows_of(task)])
            self.study.warm(self._sample)
        return self._sample

    def steps(self, arm: str, rows: Splits) -> int:
        """Steps of an arm: the budget, and for `stl_long` as many as have MTL's tokens."""
        if arm != "stl_long":
            return self.settings.steps
        tokens = {task: split.tokens.lengths.mean() for task, split in rows.items()}
        return round(self.settings.steps * sum(tokens.values()) / tokens[MAIN])


def train(benchmark: Benchmark, arm: str, seed: int, work: Path) -> Any:
    """Train one arm and give its Trainer, with the best evaluation's parameters, and its progress."""
    settings, rows = benchmark.settings, benchmark.sample(seed)
    recipe = load_recipe(RECIPES / f"{ARMS[arm] or 'base'}.yaml")
    tasks = [MAIN] if ARMS[arm] is None else list(benchmark.study.tasks)
    steps = benchmark.steps(arm, rows)
    folder = work / "trainer" / f"{arm}-{seed}"
    arguments = {
        "output_dir": str(folder),
        "max_steps": steps,
        "eval_steps": max(steps // settings.evaluations, 1),
        "learning_rate": settings.learning_rate,
        "head_learning_rate": settings.head_learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "per_device_train_batch_size": settings.rows_per_task * len(tasks),
        # A check of the feedback takes effect in the very next step.
        "window_steps": max(steps // settings.evaluations, 1),
        "seed": seed,
    }
    found = benchmark.study.train(
        benchmark.study.model(tasks, seed),
        rows,
        benchmark.validation,
        f"eval_{MAIN}_accuracy",
        f"eval_{MAIN}_loss",
        arguments,
        mixture=recipe.mixture.options(),
        # weights of 1, whatever the number of tasks: L_0 + sum_k gamma_k L_k
        balancing={"weighting": {"name": "ew", "weight_sum": float(len(tasks))}, "reduction": "tasks"},
        schedules=[item.model_dump(exclude_unset=True) for item in recipe.schedules],
    )
    shutil.rmtree(folder, ignore_errors=True)
    return found


def run(benchmark: Benchmark, arm: str, seed: int, results: Results, work: Path) -> dict[str, Any]:
    """One run of an arm."""
    settings = benchmark.settings
    key = {"arm": arm, "seed": seed, "steps": settings.steps, "rows": settings.rows}
    if found := results.find(**key):
        return found
    started = time.time()
    trainer, progress = train(benchmark, arm, seed, work)
    test = trainer.score({task: split for task, split in benchmark.test.items() if task in trainer.tasks})
    best = max(progress.points, key=lambda point: point["score"])
    record = {
        **key,
        "points": progress.points,
        "best": best,
        "test": {task: scores["accuracy"] for task, scores in test.tasks.items()},
        "log": [kept(item) for item in trainer.state.log_history if "loss" in item],
        "seconds": round(time.time() - started, 1),
    }
    print(f"{key}: {best['score']:.4f} at {best['step']}, test {record['test']}, {record['seconds']} s", flush=True)
    return results.add(record)


def kept(item: dict[str, float]) -> dict[str, float]:
    """What the results keep of a log record: losses, shares and coefficients of the tasks."""
    prefixes = ("loss/", "share/", "coefficient/")
    return {key: round(value, 5) for key, value in item.items() if key == "step" or key.startswith(prefixes)}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of the study and of its report."""
    return study_parser("mt2st", Settings, "an auxiliary task", description)


def chosen(options: argparse.Namespace) -> Settings:
    """The settings of the study; a try is not scored on more rows than it trains on."""
    counts = ("validation_rows", "test_rows", "auxiliary_test_rows")
    limits = {count: min(getattr(Settings, count), options.rows) for count in counts}
    limits["main_rows"] = min(Settings.main_rows, 3 * options.rows)
    return Settings(steps=options.steps, rows=options.rows, seeds=Settings.seeds[: options.seeds], **limits)


def main() -> None:
    """Do what is left of the study."""
    work_through(parser(__doc__), chosen, lambda settings: dict.fromkeys(settings.seeds, ARMS), Benchmark, run)


if __name__ == "__main__":
    main()
