"""One contender of scripts/bench_balancing: a step for every line on stdin, its seconds on stdout."""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from paced import forget_peak, peak_megabytes, say, train_paced
from recipe_data import RecipeData
from transformers import set_seed

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.balancing import FromGramian, GradientAggregator
from hf_mtl.gradients import JacobianRows, Recomputed
from hf_mtl.modeling import split_parameters

ROOT = Path(__file__).resolve().parents[2]


class Parts:
    """Measures the seconds of a step that equal weighting spends otherwise, by what they are for."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: type, method: str, part: str) -> None:
        """Measure a method of a class from now on."""
        original = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            found = original(*args, **kwargs)
            found = list(found) if isinstance(found, Iterator) else found
            self.seconds[part] += time.perf_counter() - started
            return found

        setattr(owner, method, timed)

    def taken(self) -> dict[str, dict[str, float]]:
        """Return the seconds of a step, and begin anew."""
        found = {"parts": dict(self.seconds)}
        self.seconds.clear()
        return found

    def watch_task_gradients(self, aggregator: GradientAggregator) -> None:
        """Measure what an aggregator adds."""
        for held in (JacobianRows, Recomputed):
            self.watch(held, "collect", "weight gradients")
            self.watch(held, "gramian", "Gramian")
            self.watch(held, "combine", "combination")
        self.watch(JacobianRows, "scale", "combination")
        by_gramian = isinstance(aggregator, FromGramian) and "jacobian" not in aggregator.needs
        self.watch(type(aggregator), "weights_from_gramian" if by_gramian else "__call__", "decision")


def make_trainer(options: argparse.Namespace, balancing: dict[str, Any]) -> MultiTaskTrainer:
    """Train K tasks of TweetEval with MiniLM; beyond its six, tasks are repeated under other names."""
    data = RecipeData(ROOT / "recipes" / "tweeteval" / "local-base.yaml", ["tasks.sentiment.max_rows=4000"])
    rows = data.encode("train")
    names = list(rows)
    chosen = {f"{names[i % len(names)]}{i // len(names) or ''}": names[i % len(names)] for i in range(options.tasks)}
    set_seed(0)
    model = MultiTaskModel.from_backbone(
        data.recipe.model.backbone,
        {name: data.tasks[source] for name, source in chosen.items()},
        max_length=data.max_length,
        head="linear",  # all of the encoder that is trained is below the features, as TorchJD needs it
        peft={"type": "lora", "r": 8, "lora_alpha": 16} if options.lora else None,
    )
    return MultiTaskTrainer(
        model=model,
        args=MultiTaskTrainingArguments(
            output_dir=str(options.work),
            max_steps=10_000,
            per_device_train_batch_size=options.rows * options.tasks,
            logging_steps=10_000,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset={name: rows[source] for name, source in chosen.items()},
        processing_class=data.tokenizer,
        mixture={"temperature": "uniform"},
        balancing={"gradients": {"log_every": 0}, **balancing},
    )


def train_ours(options: argparse.Namespace) -> None:
    """Take real steps of the Trainer."""
    parts = Parts()
    trainer = make_trainer(options, json.loads(options.balancing))
    if options.parts and trainer.task_gradients is not None and trainer.task_gradients.aggregator is not None:
        parts.watch_task_gradients(trainer.task_gradients.aggregator)
    if trainer.weighting.name == "gradnorm":  # which would first average the losses of 20 steps, and measure nothing
        trainer.weighting.observe(initial_losses=[1.0] * options.tasks)
    train_paced(trainer, parts.taken)


def torchjd_aggregator(name: str, tasks: int) -> Any:
    """Return TorchJD's aggregator of our name."""
    from torchjd import aggregation

    kinds: dict[str, Callable[[], Any]] = {
        "pcd": aggregation.PCD,
        "upgrad": aggregation.UPGrad,
        "mgda": aggregation.MGDA,
        "pcgrad": aggregation.PCGrad,
        "imtl_g": aggregation.IMTLG,
        "aligned_mtl": aggregation.AlignedMTL,
        "graddrop": aggregation.GradDrop,
        "cagrad": lambda: aggregation.CAGrad(c=0.4),
        "nash_mtl": lambda: aggregation.NashMTL(n_tasks=tasks),
    }
    return kinds[name]()


def train_torchjd(options: argparse.Namespace) -> None:
    """Train on the same batches in a loop around TorchJD, with the Trainer's optimizer and clipping."""
    from torchjd.autojac import jac_to_grad, mtl_backward

    trainer = make_trainer(options, {})
    model, aggregator = trainer.model.train(), torchjd_aggregator(options.torchjd, options.tasks)
    shared, _ = split_parameters(model)
    parameters = [parameter for _, parameter in shared if parameter.requires_grad]
    optimizer = trainer.create_optimizer()
    unused = {id(p) for name, p in shared if "pooler" in name}  # by these heads, here and in ours
    parameters = [parameter for parameter in parameters if id(parameter) not in unused]
    batches: Iterator[Any] = iter(trainer.get_train_dataloader())
    forget_peak()
    for batch in batches:
        if not sys.stdin.readline():
            break
        started = time.perf_counter()
        outputs = model(**{key: value for key, value in batch.items() if key != "plan"})
        losses = [rows.mean() for rows in outputs.row_losses.values()]
        mtl_backward(losses, features=outputs.features, shared_params=parameters, parallel_chunk_size=options.chunk)
        jac_to_grad(parameters, aggregator)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        say({"seconds": time.perf_counter() - started})


def main() -> None:
    """Be a contender until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True, help="of each task in a step")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--balancing", default="{}")
    parser.add_argument("--parts", action="store_true", help="measure the parts of a step")
    parser.add_argument("--torchjd", default=None, help="the aggregator, by our name")
    parser.add_argument("--chunk", type=int, default=None, help="TorchJD's parallel_chunk_size")
    options = parser.parse_args()
    sys.stdout = sys.stderr
    (train_torchjd if options.torchjd else train_ours)(options)
    say({"megabytes": peak_megabytes()})


if __name__ == "__main__":
    main()
