"""Does VIP decoding help, and which part of it? Trains every arm on 20% of TweetEval and AffectEval, and reports.

Run it through scripts/reproduce_vip. Finished runs are in the results file and are skipped.
"""

import time
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import where

from hf_mtl.evaluation import aggregate
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.draws import Splits, draw, sample
from hf_mtl.experiments.frozen_recipe import FrozenRecipe, Trained
from hf_mtl.experiments.results import Record, Results
from hf_mtl.experiments.watchers import GiveUp, LearningCurve
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import Task

PLACES = where.places("vip")
# The paper's beta for BERT, which MiniLM is one of (table 8).
PAPER_BETA = {"tweeteval": 0.001, "affecteval": 0.1}
PAPER_DROPOUT = {"tweeteval": 0.2, "affecteval": 0.0}
WITHOUT_TAU = {"type": "vip", "variance_normalization": False}


@dataclass(frozen=True)
class Settings:
    """Settings that are the same in every arm."""

    steps: int = 500
    fewest_steps: int = 200  # of a task that is trained alone
    evaluations: int = 5
    trial_evaluations: int = 3  # a learning rate that is behind the other one at this evaluation is given up
    frozen_layers: int = 5  # of MiniLM's six, and the embeddings
    rows_per_step: int = 32
    share: float = 0.2
    validation_rows: int = 300
    test_rows: int = 3000
    temperature: float = 2.0
    learning_rates: tuple[float, ...] = (5e-4, 1e-3)
    # log tau and UW's s can move by 0.6, as in the paper (5e-5 x 11.7k steps): half of 500 times this.
    balancing_learning_rate: float = 2.4e-3
    seeds: tuple[int, ...] = (0, 1, 2)
    bf16: bool = True


def arms(benchmark: str) -> dict[str, dict[str, Any]]:
    """Write head and weighting of every arm.

    Budgets are checked: ``long`` arms have twice the steps, and one seed. On AffectEval, where ``long`` ones still
    gain, ``x4`` arms have four times the steps and all seeds.
    """
    hidden = 2 * 384  # an mlp head with as many parameters as VIP's two networks of width H
    found: dict[str, dict[str, Any]] = {
        "ew_linear": {"head": "linear"},
        "ew_mlp": {"head": {"type": "mlp", "hidden": hidden}},
        "vip": {"head": {"type": "vip"}},
        "vip_wo_vi": {"head": WITHOUT_TAU},
        "vip_paper": {"head": {"type": "vip", "preset": "paper", "beta": PAPER_BETA[benchmark]}},
        "noise_without_kl": {"head": {**WITHOUT_TAU, "beta": 0.0}},
        "kl_without_noise": {"head": {**WITHOUT_TAU, "sampling": False}},
        "vip_matched": {"head": {"type": "vip", "tau_objective": "matched"}},
        "uw": {"head": "linear", "weighting": "uw"},
        "stl": {"head": "linear"},
        "ew_linear_long": {"head": "linear", "times": 2, "seeds": 1},
        "ew_mlp_long": {"head": {"type": "mlp", "hidden": hidden}, "times": 2, "seeds": 1},
        "vip_long": {"head": {"type": "vip"}, "times": 2, "seeds": 1},
    }
    if benchmark == "affecteval":
        found |= {f"{name}_x4": {**found[name], "times": 4} for name in ("ew_linear", "ew_mlp", "vip")}
    return found


class Bench:
    """One benchmark's rows, tokenised once, and its frozen features, computed once."""

    def __init__(self, name: str, settings: Settings):
        self.name = name
        self.settings = settings
        self.recipe = FrozenRecipe(recipe_of(name), settings.frozen_layers)
        self.pool = self.recipe.encode("train")
        self.validation = sample(self.recipe.encode("validation"), settings.validation_rows)
        self.test = sample(self.recipe.encode("test"), settings.test_rows)
        self.train_rows = lru_cache(maxsize=len(settings.seeds))(self._train_rows)

    def _train_rows(self, seed: int) -> Splits:
        """Draw the training rows of a seed: another 20% for each, the same for all arms."""
        rows = {task: round(self.settings.share * len(split)) for task, split in self.pool.items()}
        return draw(self.pool, rows, seed)

    def steps(self, tasks: list[str]) -> int:
        """Count the steps of tasks: one alone gets those that it has together with the others, and not too few."""
        shares = {task: len(split) ** (1 / self.settings.temperature) for task, split in self.pool.items()}
        part = sum(shares[task] for task in tasks) / sum(shares.values())
        return max(self.settings.fewest_steps, round(part * self.settings.steps))


def recipe_of(benchmark: str) -> Path:
    """Name a benchmark's recipe."""
    return where.RECIPES / benchmark / "local-base.yaml"


def benchmark_tasks(benchmark: str) -> Mapping[str, Task]:
    """Read a benchmark's tasks, in order."""
    return load_recipe(recipe_of(benchmark)).tasks


@dataclass(frozen=True)
class Trial:
    """A run that is to be done.

    Args:
        bench: The benchmark.
        arm: Name of the arm.
        learning_rate: Its learning rate.
        seed: Its seed.
        better: The record of a better trial. One that is behind it is given up early, and never tested.
    """

    bench: Bench
    arm: str
    learning_rate: float
    seed: int
    better: Record | None = None

    def key(self) -> dict[str, Any]:
        """Tell what the run is known by."""
        return {
            "benchmark": self.bench.name,
            "arm": self.arm,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }

    def settings_of_arm(self) -> dict[str, Any]:
        """Tell what the arm is made of."""
        return arms(self.bench.name)[self.arm]


def train(trial: Trial, tasks: list[str], place: int, folder: Path) -> Trained:
    """Train one model, the so-many-th of its trial."""
    bench, arm, settings = trial.bench, trial.settings_of_arm(), trial.bench.settings
    steps = bench.steps(tasks) * arm.get("times", 1)
    arguments = {
        "output_dir": str(folder),
        "max_steps": steps,
        "eval_steps": max(steps // settings.evaluations, 1),
        "learning_rate": trial.learning_rate,
        "balancing_learning_rate": settings.balancing_learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "per_device_train_batch_size": settings.rows_per_step,
        "bf16": settings.bf16,
        "seed": trial.seed,
    }
    rival = [value for _, value in trial.better["curves"][place]] if trial.better else []
    return bench.recipe.train(
        bench.recipe.model(tasks, trial.seed, head=arm["head"], pooling="mean", dropout=PAPER_DROPOUT[bench.name]),
        (bench.train_rows(trial.seed), bench.validation),
        LearningCurve("eval_average", "eval_loss"),
        arguments,
        [GiveUp("eval_average", rival, settings.trial_evaluations)],
        mixture={"temperature": settings.temperature},
        balancing={"weighting": arm.get("weighting", "ew"), "exposure": "tasks"},
    )


def run(trial: Trial, results: Results, work: Path) -> Record:
    """Do one run of an arm, unless it is finished: one model, or one per task for single-task learning."""
    key = trial.key()
    if found := results.find(**key):
        return found
    started = time.time()
    tasks = list(trial.bench.recipe.tasks)
    groups = [[task] for task in tasks] if trial.arm == "stl" else [tasks]
    trained = [train(trial, group, place, work / "trainer") for place, group in enumerate(groups)]
    curves = [[(point["step"], point["score"]) for point in each.curve.points] for each in trained]
    heads = [each.log(lambda name: "tau" in name or name.endswith("/kl")) for each in trained]
    record: Record = {**key, "validation": {}, "curves": curves, "heads": heads}
    logits = predict(record, trial.bench.validation, trained, "validation", trial.bench)
    if trial.better is None or record["validation_average"] > trial.better["validation_average"]:
        logits |= predict(record, trial.bench.test, trained, "test", trial.bench)
        np.savez_compressed(logits_file(work, key), **logits)
    record["seconds"] = round(time.time() - started, 1)
    print(f"{key}: {record['validation_average']:.4f} {record.get('test_average')} {record['seconds']} s", flush=True)
    print([max(curve, key=lambda point: point[1]) for curve in record["curves"]], flush=True)
    return results.add(record)


def predict(record: Record, rows: Splits, trained: list[Trained], split: str, bench: Bench) -> dict[str, np.ndarray]:
    """Add the scores of a split to a record; return logits and labels."""
    scores: dict[str, dict[str, float]] = {}
    found: dict[str, np.ndarray] = {}
    for each in trained:
        mine = {task: rows[task] for task in each.trainer.tasks}
        predicted = each.predict(mine)
        scores |= {task: predicted.scores[task] for task in mine}
        found |= {f"{split}/{task}": predicted.outputs[task].astype(np.float32) for task in mine}
        found |= {f"labels/{split}/{task}": rows[task].labels for task in mine}
    record[split] = scores
    record[f"{split}_average"] = aggregate(scores, {task: bench.recipe.tasks[task] for task in scores})["average"]
    return found


def logits_file(work: Path, key: Mapping[str, Any]) -> Path:
    """Name the file of the logits of a tested run."""
    folder = work / "logits"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key['benchmark']}-{key['arm']}-{key['learning_rate']}-{key['seed']}.npz"


def do_arm(bench: Bench, arm: str, results: Results, work: Path) -> None:
    """Choose an arm's learning rate on the validation rows of the first seed, then run the other seeds with it."""
    first, *others = bench.settings.seeds[: arms(bench.name)[arm].get("seeds")]
    trials: list[Record] = []
    for rate in bench.settings.learning_rates:
        better = max(trials, key=lambda record: record["validation_average"], default=None)
        trials.append(run(Trial(bench, arm, rate, first, better), results, work))
    chosen = max(trials, key=lambda record: record["validation_average"])["learning_rate"]
    for seed in others:
        run(Trial(bench, arm, chosen, seed), results, work)


def main() -> None:
    """Work through all arms that nobody else is at."""
    parser = ArgumentParser(description=__doc__)
    PLACES.add_options(parser)
    parser.add_argument("--reverse", action="store_true", help="start with the last arm: for a second process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings, results = Settings(), Results(options.results)
    every = [(name, arm) for name in PAPER_BETA for arm in arms(name)]
    bench: Bench | None = None
    for name, arm in reversed(every) if options.reverse else every:
        with claim(options.work / "claims" / f"{name}-{arm}") as mine:
            if mine:
                bench = bench if bench and bench.name == name else Bench(name, settings)
                do_arm(bench, arm, results, options.work)


if __name__ == "__main__":
    main()
