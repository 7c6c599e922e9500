"""Do the tasks' gradients agree? Their norms, their cosines, and how often they conflict, for the log."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.balancing import GradientOptions
from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute
from hf_mtl.gradients import SharedGradients, plain_forward, shared_parameters
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.shown import get_logger
from hf_mtl.training.evaluate import to_device
from hf_mtl.training.task_batches import by_task

logger = get_logger(__name__)

ROWS = 8
"""Rows of each task in a sample, or fewer, so that all are no more than a micro-batch."""


_SUMS = ("counts", "cosines", "conflicts", "norms", "weights", "decisions")


class ConflictLog:
    """Means since the last record, of the decisions or samples that had the tasks.

    Logs ``gradient_norm/<task>``, ``gradient_cosine/<task>/<task>`` of every pair, ``conflict_rate``: the share of
    pairs whose cosine is negative, and ``aggregator_weight/<task>`` where an aggregator has weights.

    Args:
        names: Task names, in task order.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self._reset()

    def observe(self, gramian: Tensor, weights: Tensor | None = None) -> None:
        """Take one decision or sample.

        Args:
            gramian: Inner products of the task gradients [T, T]; zero rows where a task is absent.
            weights: The aggregator's weights [T]; None: it has none.
        """
        products = gramian.detach().cpu().double()
        norms = products.diagonal().clamp(min=0).sqrt()
        if not bool(torch.isfinite(products).all()):
            return
        there = norms > 0
        pairs = torch.outer(there, there).double()
        outer = torch.outer(norms, norms)
        self._counts += pairs
        self._norms += norms
        self._cosines += torch.where(outer > 0, products / outer.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
        self._conflicts += pairs * (products < 0)
        if weights is not None:
            self._weights += torch.where(there, weights.detach().cpu().double(), 0.0)
            self._decisions += there.double()

    def flush(self) -> dict[str, float]:
        """The record since the last one; what was never seen is left out."""
        record: dict[str, float] = {}
        tasks = len(self.names)
        for index, name in enumerate(self.names):
            if count := float(self._counts[index, index]):
                record[f"gradient_norm/{name}"] = float(self._norms[index]) / count
        for first, second in combinations(range(tasks), 2):
            if count := float(self._counts[first, second]):
                key = f"gradient_cosine/{self.names[first]}/{self.names[second]}"
                record[key] = float(self._cosines[first, second]) / count
        if pairs := float(self._counts.triu(1).sum()):
            record["conflict_rate"] = float(self._conflicts.triu(1).sum()) / pairs
        for name, total, count in zip(self.names, self._weights.tolist(), self._decisions.tolist(), strict=True):
            if count:
                record[f"aggregator_weight/{name}"] = total / count
        self._reset()
        return record

    def state_dict(self) -> dict[str, Any]:
        """The sums of a record that is not due yet."""
        return {name: getattr(self, f"_{name}") for name in _SUMS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        for name in _SUMS:
            setattr(self, f"_{name}", state[name])

    def _reset(self) -> None:
        tasks = len(self.names)
        self._counts, self._cosines, self._conflicts = (torch.zeros(tasks, tasks).double() for _ in range(3))
        self._norms, self._weights, self._decisions = (torch.zeros(tasks).double() for _ in range(3))


class SampledConflicts(TrainerCallback):
    """Measures a run whose balancing decides without task gradients, on a few rows of each task every so many steps.

    In eval mode, without a draw from any generator: training goes on as if nothing had been measured. Every process
    measures the same rows. A sample is about one micro-batch; where many tasks make it more than two steps of a
    process, samples are so much rarer, and four times as rare beside fp16, since they are taken in float32. If one
    fails, for want of memory say, it is the last.

    Args:
        model: The model.
        collator: Makes batches of the training rows.
        seed: Seed of the rows that are drawn.
        args: The training arguments, for the size of a sample.
        log: Takes the samples.
        options: How often, and how gradients are formed.
        add_flops: Told the floating point operations of every sample.
    """

    def __init__(
        self,
        model: Any,
        collator: Callable[[], Collator],
        seed: int,
        args: TrainingArguments,
        log: ConflictLog,
        options: GradientOptions,
        add_flops: Callable[[float], None],
    ):
        self.model = model
        self.seed = seed
        self.options = options
        self.log = log
        self._args = args
        self._make_collator = collator
        self._collator: Collator | None = None
        self._add_flops = add_flops
        self._gradients: SharedGradients | None = None
        self._failed = False

    @property
    def rows_per_task(self) -> int:
        """Rows of each task in a sample."""
        return min(ROWS, max(2, self._args.train_batch_size // len(self.log.names)))

    @property
    def every(self) -> int:
        """Optimizer steps between two samples."""
        steps = self.rows_per_task * len(self.log.names)
        mine = self._args.train_batch_size * self._args.gradient_accumulation_steps
        longer = 4 if self._args.fp16 else 1  # than a step, in float32
        return longer * self.options.log_every * math.ceil(steps / (2 * mine))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take a sample, where one is due and the encoder is trained."""
        if self._failed or state.global_step % self.every or not shared_parameters(self.model):
            return
        training = self.model.training
        kept = {parameter: parameter.grad for parameter in self.model.parameters()}
        for parameter in kept:
            parameter.grad = None
        self.model.eval()
        try:
            self.log.observe(self._sample(state.global_step))
        except Exception as error:  # no record is worth a run
            self._failed = True
            logger.warning(f"Conflicts of tasks are not recorded any more: {type(error).__name__}: {error}")
        finally:
            self.model.train(training)
            for parameter, gradient in kept.items():
                parameter.grad = gradient
            if self._gradients is not None:
                self._gradients.release()

    def _sample(self, step: int) -> Tensor:
        gradients = self._shared()
        gradients.begin()
        for tasks, rows in self._batches(step):
            batch = self._batch(tasks, rows, gradients.layout)
            if gradients.layout == "segments":
                with gradients.micro_batch(batch):
                    self._total(batch).backward()
            else:
                for name, mine in by_task(batch):
                    self._total(mine).backward()
                    gradients.take(self.log.names.index(name))
            self._add_flops(training_flops(self.model.encoder, batch, backward=True))
        return gradients.close().gramian()

    @torch.enable_grad()
    def _total(self, batch: Mapping[str, Any]) -> Tensor:
        # Not under autocast to float16, where small gradients would be zero.
        forward = self.model if self._args.bf16 else plain_forward(self.model)
        losses = forward(**batch).row_losses
        sizes = {name: len(split.tokens) for name, split in self._splits.items()}
        each = [rows.sum() / min(self.rows_per_task, sizes[name]) for name, rows in losses.items()]
        return torch.stack(each).sum()

    @property
    def _splits(self) -> Mapping[str, Any]:
        self._collator = self._collator or self._make_collator()
        return self._collator.splits

    def _batches(self, step: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Tasks and rows of a sample's micro-batches."""
        sizes = [len(split.tokens) for split in self._splits.values()]
        rows = [
            permute(np.arange(min(self.rows_per_task, size)), size, derive_key(self.seed, "conflicts", task, step))
            for task, size in enumerate(sizes)
        ]
        tasks, flat = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows]), np.concatenate(rows)
        for start in range(0, len(flat), self._args.train_batch_size):
            part = slice(start, start + self._args.train_batch_size)
            yield tasks[part], flat[part]

    def _batch(self, tasks: np.ndarray, rows: np.ndarray, layout: str) -> dict[str, Any]:
        assert self._collator is not None
        self._collator.layout = layout  # type: ignore[assignment]
        return to_device(self._collator(tasks, rows), self.model.device)

    def _probe(self) -> dict[str, Any]:
        rows = [np.arange(min(3, len(split.tokens))) for split in list(self._splits.values())[:2]]
        tasks = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows])
        return self._batch(tasks, np.concatenate(rows), "segments")

    def _shared(self) -> SharedGradients:
        if self._gradients is None:
            self._gradients = SharedGradients(
                self.model,
                len(self.log.names),
                GradientOptions(hold="recompute", layout=self.options.layout),
                self._probe,
                lambda total: total,
                aside=True,
            )
        return self._gradients
