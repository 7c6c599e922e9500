"""Records of how the tasks' gradients agree: their norms, their cosines, and how often they conflict."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.balancing import GradientOptions
from hf_mtl.batch import Batch, divisor
from hf_mtl.data.token_budget import BatchLimit, cut_by_size
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.gradients import SharedGradients, shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.task_batches import by_task

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
        # A sample that is not finite would make every mean of the record so.
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
        """Return the record since the last one; what was never seen is left out."""
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
        """Return the sums of a record that is not due yet."""
        return {name: getattr(self, f"_{name}") for name in _SUMS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        for name in _SUMS:
            setattr(self, f"_{name}", state[name])

    def _reset(self) -> None:
        tasks = len(self.names)
        self._counts, self._cosines, self._conflicts = (torch.zeros(tasks, tasks).double() for _ in range(3))
        self._norms, self._weights, self._decisions = (torch.zeros(tasks).double() for _ in range(3))


class SampledConflicts:
    """Measures a run whose balancing decides without task gradients, on a few rows of each task every so many steps.

    The model is in eval mode and draws from no generator: training goes on as if nothing had been measured. Every
    process measures the same rows. A sample is about one micro-batch; where many tasks make it more than two
    steps of a process, samples are so much rarer, and four times as rare beside fp16, since they are taken in
    float32. If one fails, for want of memory say, it is the last.

    Args:
        model: The model.
        rows: The training rows, which it draws from.
        args: The training arguments, for the size of a sample.
        log: Takes the samples.
        options: How often, and how gradients are formed.
        flops: Counts the operations of every sample.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        rows: TrainRows,
        args: MultiTaskTrainingArguments,
        log: ConflictLog,
        options: GradientOptions,
        flops: Flops,
    ):
        self.model = model
        self.options = options
        self.log = log
        self._rows = rows
        self._args = args
        self._flops = flops
        self._gradients: SharedGradients | None = None
        self._failed = False

    @property
    def rows_per_task(self) -> int:
        """Count the rows of each task in a sample."""
        found: int = min(ROWS, max(2, self._args.train_batch_size // len(self.log.names)))
        return found

    @property
    def every(self) -> int:
        """Optimizer steps between two samples."""
        steps = self.rows_per_task * len(self.log.names)
        mine = self._args.train_batch_size * self._args.gradient_accumulation_steps
        longer = 4 if self._args.fp16 else 1  # than a step, in float32
        found: int = longer * self.options.log_every * math.ceil(steps / (2 * mine))
        return found

    def end_step(self, step: int) -> None:
        """Take a sample, where one is due and the encoder is trained.

        Args:
            step: The step that has ended, from 1.
        """
        if self._failed or step % self.every or not shared_parameters(self.model):
            return
        try:
            # Not under autocast to float16, where small gradients would be zero.
            with in_passing(self.model, plain=not self._args.bf16, keep_gradients=True):
                self.log.observe(self._sample(step))
        except Exception as error:  # no record is worth a run
            self._failed = True
            logger.warning(f"Conflicts of tasks are not recorded any more: {type(error).__name__}: {error}")
        finally:
            if self._gradients is not None:
                self._gradients.release()

    def _sample(self, step: int) -> Tensor:
        """Form the Gramian of the tasks' gradients on some rows of each, [T, T]."""
        gradients = self._shared()
        gradients.begin()
        drawn = {
            name: self._rows.draw(name, self.rows_per_task, "conflicts", task, step)
            for task, name in enumerate(self.log.names)
        }
        tasks, rows = self._rows.together(drawn)
        masses = self._rows.masses((tasks, rows))
        for part in self._parts(tasks, rows):
            batch = self._rows.batch((tasks[part], rows[part]), gradients.layout)
            if gradients.layout == "segments":
                with gradients.micro_batch(batch):
                    self._total(batch, masses).backward()
            else:
                for name, mine in by_task(batch):
                    self._total(mine, masses).backward()
                    gradients.take(self.log.names.index(name))
            self._flops.count(batch, backward=True)
        return gradients.close().gramian()

    def _parts(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut the rows of a sample into batches of a micro-batch's size, each ordered by task."""
        size, tokens = self._args.train_batch_size, self._args.tokens_per_micro_batch
        if tokens is None:
            return np.array_split(np.arange(len(rows)), range(size, len(rows), size))
        limit = BatchLimit(tokens, padded=not self.model.packs)
        return [np.sort(part) for part in cut_by_size(self._rows.lengths((tasks, rows)), limit)]

    @torch.enable_grad()
    def _total(self, batch: Batch, masses: Mapping[str, float]) -> Tensor:
        """Return a batch's part of the sum of the task losses over the sample, whose masses are given by task."""
        losses = self.model(**batch).row_losses
        return torch.stack([rows.sum() / divisor(masses[name]) for name, rows in losses.items()]).sum()

    def _shared(self) -> SharedGradients:
        if self._gradients is None:
            options = GradientOptions(hold="recompute", layout=self.options.layout)
            # Alone: every process measures the same rows, and adds up nothing.
            alone = Processes(device=self._rows.device)
            self._gradients = SharedGradients(
                self.model, len(self.log.names), options, self._rows.probe(), alone, aside=True
            )
        return self._gradients
