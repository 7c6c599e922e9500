"""Do alternating phases, temperatures and uncertainty weighting help few, imbalanced tasks?

Sentiment, emotion and irony of TweetEval at 8:1:1 (4,000, 500 and 500 stratified training rows, another draw for each
seed; validation and test stay as they are). Every arm has the same number of backward passes. Run it through
scripts/reproduce_few_task. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 600 backward passes of 32 rows, five seeds; about 50 minutes on
two cores. What the frozen layers give for a text is computed once and remembered, so the seconds of a run leave their
forward out; its floating point operations count it in every step, as a run without the memory has it.
"""

import argparse
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from frozen_study import FrozenStudy, Splits
from study import ROOT, Results, study_parser, work_through
from transformers import TrainerCallback

from hf_mtl.data.imbalance import Imbalance, imbalanced_rows
from hf_mtl.evaluation import aggregate, realised_vs_target
from hf_mtl.recipe import load_recipe

RECIPES = ROOT / "recipes" / "few_task"
RATIO = {"sentiment": 8, "emotion": 1, "irony": 1}
# Arms and the recipes whose mixture, weighting and schedules they have.
ARMS = {
    "joint": "joint",
    "alt": "alt",
    "alt_temp": "alt-temp",
    "alt_temp_uw": "alt-temp-uw",
    "learned_dro": "alt-temp-learned-dro",
    "learned_literal": "alt-temp-learned",
}


@dataclass(frozen=True)
class Settings:
    """What is the same in every arm."""

    steps: int = 600  # backward passes
    rows: int = 500  # training rows of a task with a ratio of 1
    evaluations: int = 6  # each after as many phases of the heads as of the encoder
    frozen_layers: int = 4
    rows_per_step: int = 32
    validation_rows: int = 600
    test_rows: int = 3000
    learning_rate: float = 0.05
    # The recipes' runs move the temperatures 179 times by 0.05 x the gradient; 60 times by this is as far.
    temperature_every: int = 10
    temperature_rate: float = 0.15
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)


class Targets(TrainerCallback):
    """The probabilities that each step was drawn with."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.steps = 0
        self._windows: dict[int, np.ndarray] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the window that the planner is at; it may be a step ahead."""
        window = self.trainer.steps.state
        self._windows[window.start] = window.probabilities.copy()
        self.steps = state.global_step + 1

    def mean(self) -> dict[str, float]:
        """Mean probability of each task over the steps."""
        width = self.trainer.args.window_steps
        each = [self._windows[step // width * width] for step in range(self.steps)]
        return dict(zip(self.trainer.mixture.sizes, np.mean(each, axis=0).tolist(), strict=True))


class Benchmark:
    """The rows of the three tasks, and those of a seed at the imbalance ratio."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.study = FrozenStudy(RECIPES / "local-base.yaml", settings.frozen_layers)
        self.train = self.study.encode("train")
        self.validation = self.study.some("validation", settings.validation_rows)
        self.test = self.study.some("test", settings.test_rows)
        self._seed: int | None = None
        self._sample: Splits = {}
        self._imbalance: Imbalance | None = None

    def sample(self, seed: int) -> tuple[Splits, Imbalance]:
        """The training rows of a seed, the same for all arms, encoded."""
        if seed != self._seed or self._imbalance is None:
            tasks = self.study.tasks
            strata = {name: tasks[name].strata(split.labels) for name, split in self.train.items()}
            self._seed, self._imbalance = seed, imbalanced_rows(strata, RATIO, seed, self.settings.rows)
            self._sample = {task: self.train[task].select(rows) for task, rows in self._imbalance.rows.items()}
            self.study.warm(self._sample)
        return self._sample, self._imbalance


def learned(mixture: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """A recipe's mixture, with learned temperatures that move as far in this run as in the recipe's."""
    if "learn" not in mixture:
        return dict(mixture)
    pace = {"every": settings.temperature_every, "lr": settings.temperature_rate}
    return {**mixture, "learn": {**mixture["learn"], **pace}}


def train(benchmark: Benchmark, arm: str, seed: int, work: Path) -> Any:
    """Train one arm and give its Trainer, with the best evaluation's parameters, its progress and its targets."""
    settings, (rows, _) = benchmark.settings, benchmark.sample(seed)
    recipe = load_recipe(RECIPES / f"{ARMS[arm]}.yaml")
    folder = work / "trainer" / f"{arm}-{seed}"
    arguments = {
        "output_dir": str(folder),
        "max_steps": settings.steps,
        "max_backward_passes": settings.steps,
        "eval_steps": max(settings.steps // settings.evaluations, 1),
        "logging_steps": max(settings.steps // 30, 1),
        "optim": "sgd",
        "optim_args": "momentum=0.9",
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 5e-4,
        "per_device_train_batch_size": settings.rows_per_step,
        "window_steps": settings.temperature_every,
        "seed": seed,
    }
    targets = Targets()
    trainer, progress = benchmark.study.train(
        benchmark.study.model(list(RATIO), seed),
        rows,
        benchmark.validation,
        "eval_macro",
        "eval_loss",
        arguments,
        mixture=learned(recipe.mixture.options(), settings),
        balancing=recipe.balancing.options(),
        schedules=[item.model_dump(exclude_unset=True) for item in recipe.schedules],
        watchers=[targets],
    )
    shutil.rmtree(folder, ignore_errors=True)
    return trainer, progress, targets


def run(benchmark: Benchmark, arm: str, seed: int, results: Results, work: Path) -> dict[str, Any]:
    """One run of an arm."""
    settings = benchmark.settings
    key = {"arm": arm, "seed": seed, "steps": settings.steps, "rows": settings.rows}
    if found := results.find(**key):
        return found
    started = time.time()
    trainer, progress, targets = train(benchmark, arm, seed, work)
    trainer.predict(benchmark.test)
    scores = trainer.scores.tasks
    drawn = dict(zip(trainer.mixture.sizes, trainer.signals.rows.tolist(), strict=True))
    target = targets.mean()
    imbalance = benchmark.sample(seed)[1]
    record = {
        **key,
        "points": progress.points,
        "best": max(progress.points, key=lambda point: point["score"]),
        "test": scores,
        **aggregate(scores, {task: benchmark.study.tasks[task] for task in scores}),
        "budget": trainer.budget.record(),
        "drawn": {"rows": drawn, "target": target, **vars(realised_vs_target(drawn, target))},
        "imbalance": {"unit": imbalance.unit, "tv": imbalance.total_variation, "kl": imbalance.kl},
        "log": [kept(item) for item in trainer.state.log_history if "loss" in item],
        "seconds": round(time.time() - started, 1),
    }
    print(f"{key}: macro {record['macro']:.4f}, worst {record['worst']:.4f}, {record['seconds']} s", flush=True)
    print(drawn_line(record), flush=True)
    return results.add(record)


def kept(item: Mapping[str, float]) -> dict[str, float]:
    """What the results keep of a log record: shares, weights and temperatures of the tasks, and their losses."""
    prefixes = ("loss/", "share/", "weight/", "temperature/", "frozen/")
    return {key: round(value, 5) for key, value in item.items() if key == "step" or key.startswith(prefixes)}


def drawn_line(record: Mapping[str, Any]) -> str:
    """How the tasks of a run were drawn, and how far that is from the mixture's probabilities."""
    drawn = record["drawn"]
    rows = " ".join(f"{task} {count:.0f}" for task, count in drawn["rows"].items())
    target = "/".join(f"{share:.4f}" for share in drawn["target"].values())
    distances = f"TV {drawn['total_variation']:.1e}, KL {drawn['kl_realised_target']:.1e}"
    test = f"2NKL {drawn['g_statistic']:.2f} (p {drawn['g_p_value']:.3f})"
    built = f"8:1:1 built with TV {record['imbalance']['tv']:.0e}, KL {record['imbalance']['kl']:.0e}"
    return f"{record['arm']} {record['seed']}: drew {rows}; target {target}; {distances}, {test}; {built}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of the study and of its report."""
    return study_parser("few_task", Settings, "a small task", description)


def chosen(options: argparse.Namespace) -> Settings:
    """The settings of the study; a try is not scored on more rows than its large task trains on."""
    largest = max(RATIO.values()) * options.rows
    limits = {count: min(getattr(Settings, count), largest) for count in ("validation_rows", "test_rows")}
    return Settings(steps=options.steps, rows=options.rows, seeds=Settings.seeds[: options.seeds], **limits)


def main() -> None:
    """Do what is left of the study."""
    work_through(parser(__doc__), chosen, lambda settings: dict.fromkeys(settings.seeds, ARMS), Benchmark, run)


if __name__ == "__main__":
    main()
