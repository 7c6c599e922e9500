"""Do alternating phases, temperatures and uncertainty weighting help few, imbalanced tasks?

Sentiment, emotion and irony of TweetEval at 8:1:1 (4,000, 500 and 500 stratified training rows, another draw for each
seed; validation and test stay as they are). Every arm has the same number of backward passes. Run it through
scripts/reproduce_few_task. Finished runs are in the results file and are skipped.

The budget: MiniLM with its lower four layers frozen, 600 backward passes of 32 rows, five seeds; about 50 minutes on
two cores. What the frozen layers give for a text is computed once and remembered, so the seconds of a run leave their
forward out; its floating point operations count it in every step, as a run without the memory has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import where
from transformers import TrainerControl, TrainerState, TrainingArguments

from hf_mtl.data.imbalance import Imbalance, imbalanced_rows
from hf_mtl.evaluation import aggregate
from hf_mtl.experiments.draws import Splits, sample
from hf_mtl.experiments.frozen_recipe import FrozenRecipe, Trained
from hf_mtl.experiments.mixture_fit import realised_vs_target
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.study import Study, StudySettings
from hf_mtl.experiments.watchers import LearningCurve, Watcher
from hf_mtl.recipe import load_recipe

RECIPES = where.RECIPES / "few_task"
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
# What the results keep of a log record: losses, shares, weights and temperatures of the tasks, and frozen groups.
KEPT = ("loss/", "share/", "weight/", "temperature/", "frozen/")


@dataclass(frozen=True)
class Settings(StudySettings):
    """Settings that are the same in every arm."""

    steps: int = 600  # backward passes
    rows: int = 500  # training rows of a task with a ratio of 1
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    evaluations: int = 6  # each after as many phases of the heads as of the encoder
    frozen_layers: int = 4
    rows_per_step: int = 32
    validation_rows: int = 600
    test_rows: int = 3000
    learning_rate: float = 0.05
    # The recipes' runs move the temperatures 179 times by 0.05 x the gradient; 60 times by this is as far.
    temperature_every: int = 10
    temperature_rate: float = 0.15

    def fitted(self) -> Self:
        """Score a try on no more rows than its large task trains on."""
        largest = max(RATIO.values()) * self.rows
        limits = {count: min(getattr(self, count), largest) for count in ("validation_rows", "test_rows")}
        return replace(self, **limits)


class Targets(Watcher):
    """Remembers the probabilities that each step was drawn with."""

    def __init__(self) -> None:
        self.steps = 0
        self._windows: dict[int, np.ndarray] = {}

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Note the window that the planner is at; it may be a step ahead."""
        window = self.trainer.steps.state
        self._windows[window.start] = window.probabilities.copy()
        self.steps = state.global_step + 1

    def mean(self) -> dict[str, float]:
        """Average the probability of each task over the steps."""
        width = self.trainer.args.window_steps
        each = [self._windows[step // width * width] for step in range(self.steps)]
        return dict(zip(self.trainer.mixture.sizes, np.mean(each, axis=0).tolist(), strict=True))


class Bench:
    """The rows of the three tasks, and those of a seed at the imbalance ratio."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.recipe = FrozenRecipe(RECIPES / "local-base.yaml", settings.frozen_layers)
        self.pool = self.recipe.encode("train")
        self.validation = sample(self.recipe.encode("validation"), settings.validation_rows)
        self.test = sample(self.recipe.encode("test"), settings.test_rows)
        self.train_rows = lru_cache(maxsize=1)(self._train_rows)

    def _train_rows(self, seed: int) -> tuple[Splits, Imbalance]:
        """Draw the training rows of a seed, the same for all arms, and encode them."""
        tasks = self.recipe.tasks
        strata = {task: tasks[task].strata(split.labels) for task, split in self.pool.items()}
        imbalance = imbalanced_rows(strata, RATIO, seed, self.settings.rows)
        rows = {task: self.pool[task].select(chosen) for task, chosen in imbalance.rows.items()}
        self.recipe.warm(rows)
        return rows, imbalance


def learned(mixture: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Give a recipe's mixture learned temperatures that move as far in this run as in the recipe's."""
    if "learn" not in mixture:
        return dict(mixture)
    pace = {"every": settings.temperature_every, "lr": settings.temperature_rate}
    return {**mixture, "learn": {**mixture["learn"], **pace}}


def train(bench: Bench, arm: str, seed: int, folder: Path, targets: Targets) -> Trained:
    """Train one arm."""
    settings, (rows, _) = bench.settings, bench.train_rows(seed)
    method = load_recipe(RECIPES / f"{ARMS[arm]}.yaml")
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
    return bench.recipe.train(
        bench.recipe.model(list(RATIO), seed),
        (rows, bench.validation),
        LearningCurve("eval_macro", "eval_loss"),
        arguments,
        [targets],
        mixture=learned(method.mixture.options(), settings),
        balancing=method.balancing.options(),
        schedules=[item.model_dump(exclude_unset=True) for item in method.schedules],
    )


def measure(bench: Bench, arm: str, seed: int, folder: Path) -> Record:
    """Do one run of an arm."""
    targets = Targets()
    trained = train(bench, arm, seed, folder, targets)
    scores, trainer = trained.predict(bench.test).scores, trained.trainer
    drawn = dict(zip(trainer.mixture.sizes, trainer.signals.rows.tolist(), strict=True))
    target = targets.mean()
    imbalance = bench.train_rows(seed)[1]
    return {
        "points": trained.curve.points,
        "best": trained.curve.best,
        "test": scores,
        **aggregate(scores, {task: bench.recipe.tasks[task] for task in scores}),
        "budget": trainer.budget.record(trainer.state),
        "drawn": {"rows": drawn, "target": target, **vars(realised_vs_target(drawn, target))},
        "imbalance": {
            "unit": imbalance.unit,
            "tv": imbalance.distances.total_variation,
            "kl": imbalance.distances.kl,
        },
        "log": trained.log(lambda key: key.startswith(KEPT)),
    }


def say(record: Record) -> str:
    """Put a finished run in words."""
    return f"macro {record['macro']:.4f}, worst {record['worst']:.4f}, {record['seconds']} s\n{drawn_line(record)}"


def drawn_line(record: Record) -> str:
    """Say how the tasks of a run were drawn, and how far that is from the mixture's probabilities."""
    drawn = record["drawn"]
    rows = " ".join(f"{task} {count:.0f}" for task, count in drawn["rows"].items())
    target = "/".join(f"{share:.4f}" for share in drawn["target"].values())
    distances = f"TV {drawn['total_variation']:.1e}, KL {drawn['kl_realised_target']:.1e}"
    test = f"2NKL {drawn['g_statistic']:.2f} (p {drawn['g_p_value']:.3f})"
    built = f"8:1:1 built with TV {record['imbalance']['tv']:.0e}, KL {record['imbalance']['kl']:.0e}"
    return f"{record['arm']} {record['seed']}: drew {rows}; target {target}; {distances}, {test}; {built}"


def arms_of_seeds(settings: Settings) -> dict[int, list[str]]:
    """List the arms of each seed."""
    return {seed: list(ARMS) for seed in settings.seeds}


STUDY = Study(where.places("few_task"), Settings(), "a small task", arms_of_seeds, Bench, measure, say)

if __name__ == "__main__":
    STUDY.work(__doc__)
