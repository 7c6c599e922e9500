"""COST's search: leave a point where the tasks conflict for one of equal losses and greater sharpness."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from transformers import TrainerState

from hf_mtl.balancing import Teleporting
from hf_mtl.batch import Batch, divisor, model_inputs, to_device
from hf_mtl.data.course import Course
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.gradients import shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.optimizer import ForOneStep

logger = get_logger(__name__)

NOISE = 1e-4
"""Norm of the noise that each tensor gets when sharpness is measured."""
PASSES = 2
Losses = Mapping[str, Tensor]


class Teleportation:
    """After a step whose gradients conflict, trains low-rank adapters on what the tasks share, and merges them.

    They minimise 10 mean_t |L_t - L0_t| - sharpness / 2 over two passes of the training rows, with L0 the losses
    before, over all rows, and the sharpness mean_t w_t |L_t(W + noise) - L_t(W)| / 1e-4 on the rows of the step that
    conflicted. In eval mode and float32. The optimizer starts anew if the way that was gone has a cosine of at most 0
    with the step's aggregated gradient; otherwise its betas are multiplied by the cosine for one step.

    Source: Zhou et al., arXiv:2503.04046, after its code (methods/teleportation.py), with one draw of noise where the
    code leaves their number to an option, and the sharpness' gradient through both of its losses where the code's
    copy of the model lets it through one.

    Args:
        model: The model.
        aggregator: The aggregator, which says when.
        rows: The training rows; their seed is that of the adapters and the noise too.
        course: Knows how many rows a step has: as many come together here.
        processes: This process among the others.
        flops: Counts the operations of every pass.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        aggregator: Teleporting,
        rows: TrainRows,
        course: Course,
        processes: Processes,
        flops: Flops,
    ):
        self.model = model
        self.aggregator = aggregator
        self._rows = rows
        self._course = course
        self._processes = processes
        self._flops = flops
        self._direction: Tensor | None = None
        self._cosine = 1.0  # what the next step multiplies the betas by
        self._betas = ForOneStep("betas")

    def begin_step(self) -> None:
        """Forget the last conflict: not every step decides."""
        self.aggregator.last = None

    def before_update(self, optimizer: Optimizer | None) -> None:
        """Keep the aggregated gradient, if a search may follow; take the betas that the last search left."""
        if self._cosine != 1.0:
            cosine = self._cosine
            self._betas.change(optimizer, lambda betas: tuple(cosine * beta for beta in betas))
        self._cosine = 1.0
        conflict = self.aggregator.last
        if conflict is not None and conflict.triggered:
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in shared_parameters(self.model)]
            self._direction = torch.cat([part.flatten() for part in parts]).clone()

    def after_update(self, optimizer: Optimizer | None) -> None:
        """Give the optimizer its own betas back."""
        self._betas.put_back(optimizer)

    def end_step(
        self, state: TrainerState, batches: Sequence[Batch], learning_rate: float, optimizer: Optimizer | None
    ) -> None:
        """Search, where it is due.

        Args:
            state: The state of the Trainer.
            batches: This process's micro-batches of the step that has ended.
            learning_rate: Learning rate of the adapters.
            optimizer: The optimizer of the run.
        """
        direction, self._direction = self._direction, None
        epoch = max(math.ceil(state.epoch or 0.0) - 1, 0)  # of this step; an epoch's last one has the next number
        if direction is None or not self.aggregator.due(epoch):
            return
        assert self.aggregator.last is not None
        if is_main_process():
            logger.warning(
                f"COST: the tasks conflict at step {state.global_step}; {PASSES} passes seek another point."
            )
        before = torch.cat([p.detach().flatten().clone() for p in shared_parameters(self.model)])
        # In float32: under autocast noise of this size is lost.
        with in_passing(self.model, plain=True):
            self._search(batches, self.aggregator.last.sharpness_weights, state.global_step, learning_rate)
        after = torch.cat([p.detach().flatten() for p in shared_parameters(self.model)])
        cosine = float(torch.nn.functional.cosine_similarity(after - before, direction, dim=0))
        if cosine > 0:
            self._cosine = cosine
        elif optimizer is not None:
            getattr(optimizer, "optimizer", optimizer).state.clear()  # inside accelerate's

    def state_dict(self) -> dict[str, Any]:
        """Return what the next step does to the betas."""
        return {"cosine": self._cosine}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self._cosine = float(state["cosine"])

    def _search(self, batches: Sequence[Batch], weights: Tensor, step: int, learning_rate: float) -> None:
        key = derive_key(self._rows.seed, "teleport", step)
        generator = torch.Generator().manual_seed(int(key.view(np.int64)[0] >> 1))
        targets = self._mean_losses()
        adapters = Adapters(self.model, self.aggregator.rank, generator)
        optimizer = torch.optim.Adam(adapters.parameters(), lr=learning_rate)
        device = self._processes.device
        current = [(to_device(model_inputs(batch), device), batch["plan"]["masses"]) for batch in batches]
        for number in range(PASSES):
            for batch, masses in self._all_rows(step, number):
                losses = _task_losses(self._row_losses(batch, adapters.weights()), masses)
                distance = torch.stack([(loss - targets[task]).abs() for task, loss in losses.items()]).mean()
                sharpness = self._sharpness(current, adapters.weights(), weights, generator)
                # Of the adapters alone: what else is trained waits for the next step's gradients.
                far = torch.autograd.grad(10 * distance, adapters.parameters())
                sharp = _gradients(-0.5 * sharpness, adapters.parameters())
                for factor, one, other in zip(adapters.parameters(), far, sharp, strict=True):
                    factor.grad = one + self._processes.reduce_sum(other)
                optimizer.step()
        adapters.merge()

    def _sharpness(
        self,
        batches: Sequence[tuple[Batch, Sequence[float]]],
        weights: dict[str, Tensor],
        of_tasks: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        noisy = {}
        for name, weight in weights.items():
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            noisy[name] = weight + noise * (NOISE / noise.norm())
        risen = [torch.zeros((), device=self.model.device) for _ in self._rows.names]
        for batch, masses in batches:
            there, here = self._row_losses(batch, noisy), self._row_losses(batch, weights)
            for task, rows in here.items():
                index = self._rows.names.index(task)
                risen[index] = risen[index] + (there[task] - rows).sum() / divisor(masses[index])
        mine = torch.stack(risen)
        # The absolute value is of the whole step's difference; this is a process's part of it.
        signs = self._processes.reduce_sum(mine.detach()).sign()
        return (of_tasks.to(mine) * signs * mine).sum() / (len(self._rows.names) * NOISE)

    def _row_losses(self, batch: Batch, weights: dict[str, Tensor]) -> Losses:
        self._flops.count(batch, backward=True)
        outputs = functional_call(self.model, weights, args=(), kwargs=dict(batch))
        return {task: rows for task, rows in outputs.row_losses.items() if len(rows)}

    @torch.no_grad()
    def _mean_losses(self) -> dict[str, Tensor]:
        """Find L0: each task's loss over its training rows."""
        sums: dict[str, Tensor] = {}
        masses: dict[str, float] = {}
        for batch, of_batch in self._all_rows(0, 0):
            self._flops.count(batch, backward=False)
            for task, rows in self.model(**batch).row_losses.items():
                sums[task] = sums.get(task, 0.0) + rows.sum()
                masses[task] = masses.get(task, 0.0) + of_batch[task]
        return {task: total / divisor(masses[task]) for task, total in sums.items()}

    def _all_rows(self, step: int, number: int) -> Iterator[tuple[Batch, dict[str, float]]]:
        """Yield every training row once, in an order of this search and pass, with each task's mass in the batch."""
        for chosen in self._rows.each_once(self._course.rows_per_step, "teleport", step, number):
            yield self._rows.batch(chosen), self._rows.masses(chosen)


class Adapters:
    """Adapters W + B A of every matrix that the tasks share and train, embeddings apart; B is zero at first.

    Args:
        model: The model.
        rank: Rank of B A.
        generator: Draws A.
    """

    def __init__(self, model: nn.Module, rank: int, generator: torch.Generator):
        tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        mine = {id(parameter) for parameter in shared_parameters(model)} - tables
        named = {name: p for name, p in model.named_parameters() if id(p) in mine and p.ndim == 2}
        self._matrices = named
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}
        for name, matrix in named.items():
            bound = matrix.shape[1] ** -0.5
            down = (2 * torch.rand(rank, matrix.shape[1], generator=generator) - 1) * bound
            up = torch.zeros(matrix.shape[0], rank)
            self._factors[name] = (up.to(matrix.device).requires_grad_(), down.to(matrix.device).requires_grad_())

    def parameters(self) -> list[Tensor]:
        """Return what is trained."""
        return [factor for pair in self._factors.values() for factor in pair]

    def weights(self) -> dict[str, Tensor]:
        """Return the adapted matrices by name, with a graph to the adapters."""
        return {name: self._matrices[name].detach() + up @ down for name, (up, down) in self._factors.items()}

    @torch.no_grad()
    def merge(self) -> None:
        """Make the adapted matrices the model's own."""
        for name, weight in self.weights().items():
            self._matrices[name].copy_(weight)


def _task_losses(row_losses: Losses, masses: Mapping[str, float]) -> Losses:
    return {task: rows.sum() / divisor(masses[task]) for task, rows in row_losses.items()}


def _gradients(total: Tensor, of: Sequence[Tensor]) -> Sequence[Tensor]:
    """Differentiate; zeros where there is no graph, as in a process without a row of the step: the others wait."""
    return torch.autograd.grad(total, of) if total.requires_grad else [torch.zeros_like(one) for one in of]
