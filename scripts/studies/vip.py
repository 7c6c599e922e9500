"""Does VIP decoding help, and which part of it? Trains every arm on 20% of TweetEval and AffectEval, and reports.

Run it through scripts/reproduce_vip. Finished runs are in the results file and are skipped.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frozen_features import FrozenFeatures, use_frozen_features
from study import KeepBest, Results, claim
from transformers import set_seed

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import Task
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_WORK = ROOT / "runs" / "reproduce_vip"
DEFAULT_RESULTS = Path(__file__).parent / "results" / "vip.jsonl"
# The paper's beta for BERT, which MiniLM is one of (table 8).
PAPER_BETA = {"tweeteval": 0.001, "affecteval": 0.1}
PAPER_DROPOUT = {"tweeteval": 0.2, "affecteval": 0.0}
WITHOUT_TAU = {"type": "vip", "variance_normalization": False}


@dataclass(frozen=True)
class Settings:
    """What is the same in every arm."""

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
    """Head and weighting of every arm.

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


class Benchmark:
    """One benchmark's rows, tokenised once, and its frozen features, computed once."""

    def __init__(self, name: str, settings: Settings):
        self.name = name
        self.settings = settings
        only_scoring = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        recipe = load_recipe(ROOT / "recipes" / name / "local-base.yaml")
        args = make_arguments(recipe, early_stopping_patience=None, report_to="none", use_cpu=True, **only_scoring)
        self.prepared: Prepared = prepare(recipe, args, None)
        model = self.prepared.new_model()
        self.tasks = model.tasks
        self.max_length = model.config.max_length
        self.features = FrozenFeatures(model.encoder, settings.frozen_layers, self.prepared.tokenizer.pad_token_id)
        self.train = self._encode("train")
        self.validation = self._some("validation", settings.validation_rows)
        self.test = self._some("test", settings.test_rows)

    def _encode(self, split: str) -> dict[str, EncodedSplit]:
        tokenizer = self.prepared.tokenizer
        return encode_splits(self.prepared.split(split), self.tasks, tokenizer, self.max_length, split)

    def _some(self, name: str, count: int) -> dict[str, EncodedSplit]:
        """A split of every task, of a task with more rows as many as this, the same in every run."""
        return {
            task: split.select(np.sort(np.random.default_rng(1).permutation(len(split))[:count]))
            for task, split in self._encode(name).items()
        }

    @cache  # noqa: B019
    def sample(self, seed: int) -> dict[str, EncodedSplit]:
        """The training rows of a seed: another draw of 20% for each, the same for all arms."""
        found = {}
        for task, split in self.train.items():
            rows = np.random.default_rng([seed, *task.encode()]).permutation(len(split))
            found[task] = split.select(rows[: round(self.settings.share * len(split))])
        return found

    def model(self, tasks: list[str], head: Any, seed: int) -> MultiTaskModel:
        """A new model whose lower layers are the frozen features."""
        set_seed(seed)
        model = MultiTaskModel.from_backbone(
            self.prepared.recipe.model.backbone,
            {task: self.tasks[task] for task in tasks},
            head,
            pooling="mean",
            max_length=self.max_length,
            freeze=self.settings.frozen_layers,
            dropout=PAPER_DROPOUT[self.name],
            attn_implementation="eager",  # the fused one is slow backwards in bf16 on a CPU
        )
        use_frozen_features(model.encoder, self.features, self.settings.frozen_layers)
        return model


def benchmark_tasks(name: str) -> dict[str, Task]:
    """A benchmark's tasks, in order."""
    return load_recipe(ROOT / "recipes" / name / "local-base.yaml").tasks


def train(
    benchmark: Benchmark,
    arm: Mapping[str, Any],
    tasks: list[str],
    lr: float,
    seed: int,
    steps: int,
    work: Path,
    rival: Sequence[Sequence[float]] = (),
) -> Any:
    """Train one model and give its Trainer, with the best evaluation's parameters."""
    settings = benchmark.settings
    every = max(steps // settings.evaluations, 1)
    model = benchmark.model(tasks, arm["head"], seed)
    best = KeepBest(model, "eval_average", rival, settings.trial_evaluations)
    args = MultiTaskTrainingArguments(
        output_dir=str(work / "trainer"),
        max_steps=steps,
        learning_rate=lr,
        balancing_learning_rate=settings.balancing_learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        weight_decay=0.01,
        per_device_train_batch_size=settings.rows_per_step,
        per_device_eval_batch_size=64,
        eval_strategy="steps",
        eval_steps=every,
        logging_steps=every,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=settings.bf16,
        use_cpu=True,
        seed=seed,
    )
    trainer = MultiTaskTrainer(
        model=model,
        args=args,
        train_dataset={task: benchmark.sample(seed)[task] for task in tasks},
        eval_dataset={task: benchmark.validation[task] for task in tasks},
        processing_class=benchmark.prepared.tokenizer,
        mixture={"temperature": settings.temperature},
        balancing={"weighting": arm.get("weighting", "ew"), "reduction": "tasks"},
        callbacks=[best],
    )
    trainer.train()
    return trainer, best


def run(
    benchmark: Benchmark,
    name: str,
    lr: float,
    seed: int,
    results: Results,
    work: Path,
    better: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One run of an arm: one model, or one per task for single-task learning.

    A trial that loses to a ``better`` one is given up early and never tested.
    """
    key = {"benchmark": benchmark.name, "arm": name, "learning_rate": lr, "seed": seed}
    if found := results.find(**key):
        return found
    started = time.time()
    settings, arm = benchmark.settings, arms(benchmark.name)[name]
    shares = {task: len(split) ** (1 / settings.temperature) for task, split in benchmark.train.items()}
    groups = [[task] for task in benchmark.tasks] if name == "stl" else [list(benchmark.tasks)]
    record: dict[str, Any] = {**key, "validation": {}, "curves": [], "heads": []}
    trained = []
    for tasks in groups:
        # A task alone gets the steps that it has together with the others, and not too few.
        part = sum(shares[task] for task in tasks) / sum(shares.values())
        steps = max(settings.fewest_steps, round(part * settings.steps)) * arm.get("times", 1)
        rival = better["curves"][len(trained)] if better else ()
        trainer, best = train(benchmark, arm, tasks, lr, seed, steps, work, rival)
        trained.append((tasks, trainer))
        record["curves"].append(best.curve)
        record["heads"].append([head_log(item) for item in trainer.state.log_history if "loss" in item])
    logits: dict[str, np.ndarray] = {}
    splits = {"validation": benchmark.validation, "test": benchmark.test}
    for split, rows in splits.items():
        if split == "test" and better and record["validation_average"] <= better["validation_average"]:
            break
        record[split] = {}
        for tasks, trainer in trained:
            mine = {task: rows[task] for task in tasks}
            record[split] |= trainer.score(mine).tasks
            output = trainer.predict(mine)
            logits |= {f"{split}/{task}": output.predictions[task].astype(np.float32) for task in tasks}
            logits |= {f"labels/{split}/{task}": rows[task].labels for task in tasks}
        record[f"{split}_average"] = average(record[split], benchmark)
    if "test" in record:
        np.savez_compressed(logits_file(work, key), **logits)
    record["seconds"] = round(time.time() - started, 1)
    print(f"{key}: {record['validation_average']:.4f} {record.get('test_average')} {record['seconds']} s", flush=True)
    print([max(curve, key=lambda point: point[1]) for curve in record["curves"]], flush=True)
    return results.add(record)


def logits_file(work: Path, key: Mapping[str, Any]) -> Path:
    """Where the logits of a tested run are kept."""
    folder = work / "logits"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key['benchmark']}-{key['arm']}-{key['learning_rate']}-{key['seed']}.npz"


def head_log(item: Mapping[str, float]) -> dict[str, float]:
    """What the heads logged in one interval."""
    return {
        key: round(value, 5) for key, value in item.items() if "tau" in key or key.endswith("/kl") or key == "step"
    }


def average(scores: Mapping[str, Mapping[str, float]], benchmark: Benchmark) -> float:
    """Mean over tasks of the task's score."""
    from hf_mtl.evaluation import aggregate

    return aggregate(scores, {task: benchmark.tasks[task] for task in scores})["average"]


def unit(benchmark: Benchmark, name: str, results: Results, work: Path) -> None:
    """Choose an arm's learning rate on the validation rows of the first seed, then run the other seeds with it."""
    arm = arms(benchmark.name)[name]
    first, *others = benchmark.settings.seeds[: arm.get("seeds")]
    trials: list[dict[str, Any]] = []
    for lr in benchmark.settings.learning_rates:
        better = max(trials, key=lambda record: record["validation_average"], default=None)
        trials.append(run(benchmark, name, lr, first, results, work, better))
    chosen = max(trials, key=lambda record: record["validation_average"])["learning_rate"]
    for seed in others:
        run(benchmark, name, chosen, seed, results, work)


def main() -> None:
    """Work through all units that nobody else is at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", default="tweeteval", choices=list(PAPER_BETA))
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK)
    parser.add_argument("--results", type=Path, default=DEFAULT_RESULTS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings, results = Settings(), Results(options.results)
    own = options.benchmark
    other = next(name for name in PAPER_BETA if name != own)
    for name in (own, other):
        benchmark = None
        units = list(arms(name))
        for arm in units if name == own else reversed(units):
            with claim(options.work / "claims" / f"{name}-{arm}") as mine:
                if mine:
                    benchmark = benchmark or Benchmark(name, settings)
                    unit(benchmark, arm, results, options.work)


if __name__ == "__main__":
    main()
