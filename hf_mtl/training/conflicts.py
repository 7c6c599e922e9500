"""Do the tasks' gradients agree? Their norms, their cosines, and how often they conflict, for the log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute
from hf_mtl.gradients import GradientOptions, SharedGradients, plain_forward, shared_parameters
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.training.evaluate import to_device
from hf_mtl.training.task_batches import by_task

ROWS = 8
"""Rows of each task in a sample, or fewer, so that a sample is no larger than two steps."""


class ConflictLog:
    """Means since the last record, of the decisions or samples that had the tasks.

    Logs ``gradient_norm/<task>``, ``gradient_cosine/<task>/<task>`` of every pair, ``conflict_rate``: the share of
    pairs whose cosine is negative, and ``aggregator_weight/<task>`` where an aggregator has weights.

    Args:
        names: Task names, in task order.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self.flush()

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
            self._weights = weights.detach().cpu().double() + (0.0 if self._weights is None else self._weights)
            self._decisions += 1

    def flush(self) -> dict[str, float]:
        """The record since the last one; what was never seen is left out."""
        record: dict[str, float] = {}
        tasks = len(self.names)
        if hasattr(self, "_counts"):
            for index, name in enumerate(self.names):
                if count := float(self._counts[index, index]):
                    record[f"gradient_norm/{name}"] = float(self._norms[index]) / count
            for first, second in combinations(range(tasks), 2):
                if count := float(self._counts[first, second]):
                    key = f"gradient_cosine/{self.names[first]}/{self.names[second]}"
                    record[key] = float(self._cosines[first, second]) / count
            if pairs := float(self._counts.triu(1).sum()):
                record["conflict_rate"] = float(self._conflicts.triu(1).sum()) / pairs
            for name, total in zip(self.names, [] if self._weights is None else self._weights.tolist(), strict=False):
                record[f"aggregator_weight/{name}"] = total / self._decisions
        self._counts, self._cosines, self._conflicts = (torch.zeros(tasks, tasks).double() for _ in range(3))
        self._norms = torch.zeros(tasks).double()
        self._weights: Tensor | None = None
        self._decisions = 0
        return record


class SampledConflicts(TrainerCallback):
    """Measures a run whose balancing needs no task gradients, on a few rows of each task every so many steps.

    In eval mode, without a draw from any generator: training goes on as if nothing had been measured. Every process
    measures the same rows.

    Args:
        model: The model.
        collator: Makes batches of the training rows.
        seed: Seed of the rows that are drawn.
        rows_per_step: Rows of an optimizer step, for the size of a sample.
        log: Takes the samples.
        options: How often, and how gradients are formed.
        add_flops: Told the floating point operations of every sample.
    """

    def __init__(
        self,
        model: Any,
        collator: Callable[[], Collator],
        seed: int,
        rows_per_step: Callable[[], int],
        log: ConflictLog,
        options: GradientOptions,
        add_flops: Callable[[float], None],
    ):
        self.model = model
        self.seed = seed
        self.options = options
        self.log = log
        self._make_collator = collator
        self._collator: Collator | None = None
        self._rows_per_step = rows_per_step
        self._add_flops = add_flops
        self._gradients: SharedGradients | None = None

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take a sample, where one is due and the encoder is trained."""
        if state.global_step % self.options.log_every or not shared_parameters(self.model):
            return
        training = self.model.training
        kept = {parameter: parameter.grad for parameter in self.model.parameters()}
        for parameter in kept:
            parameter.grad = None
        self.model.eval()
        try:
            self.log.observe(self._sample(state.global_step))
        finally:
            self.model.train(training)
            for parameter, gradient in kept.items():
                parameter.grad = gradient

    def _sample(self, step: int) -> Tensor:
        gradients = self._shared()
        gradients.begin()
        batch = self._batch(step, gradients.layout)
        if gradients.layout == "segments":
            with gradients.micro_batch(batch):
                self._total(batch).backward()
        else:
            for name, mine in by_task(batch):
                self._total(mine).backward()
                gradients.take(self.log.names.index(name))
        self._add_flops(training_flops(self.model.encoder, batch, backward=True))
        found = gradients.close().gramian()
        gradients.begin()  # nothing is kept until the next sample
        return found

    @torch.enable_grad()
    def _total(self, batch: Mapping[str, Any]) -> Tensor:
        # Not under autocast, where small float16 gradients would be zero.
        losses = plain_forward(self.model)(**batch).row_losses
        return torch.stack([rows.mean() for rows in losses.values()]).sum()

    def _batch(self, step: int, layout: str) -> dict[str, Any]:
        if self._collator is None:
            self._collator = self._make_collator()
        self._collator.layout = layout  # type: ignore[assignment]
        sizes = [len(split.tokens) for split in self._collator.splits.values()]
        each = max(min(ROWS, 2 * self._rows_per_step() // len(sizes)), 2)
        rows = [
            permute(np.arange(min(each, size)), size, derive_key(self.seed, "conflicts", task, step))
            for task, size in enumerate(sizes)
        ]
        tasks = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows])
        return to_device(self._collator(tasks, np.concatenate(rows)), self.model.device)

    def _shared(self) -> SharedGradients:
        if self._gradients is None:
            self._gradients = SharedGradients(
                self.model,
                len(self.log.names),
                replace(self.options, hold="recompute"),
                lambda: self._batch(0, "segments"),
                lambda total: total,
            )
        return self._gradients
