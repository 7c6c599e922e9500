"""COST's search: leave a point where the tasks conflict for one of equal losses and greater sharpness."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.balancing import Teleporting
from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute
from hf_mtl.data.processes import is_main_process
from hf_mtl.gradients import shared_parameters
from hf_mtl.inference.predict import to_device
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.shown import get_logger
from hf_mtl.training.step.optimizer import ForOneStep

logger = get_logger(__name__)

NOISE = 1e-4
"""Norm of the noise that each tensor gets when sharpness is measured."""
PASSES = 2
Losses = Mapping[str, Tensor]


class Teleportation(TrainerCallback):
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
        collator: Makes batches of the training rows.
        seed: Seed of the order of rows, the adapters and the noise.
        rows: Rows of a batch.
        step_batches: Answers this process's micro-batches of the step that has ended.
        names: The tasks, in the aggregator's order.
        reduce_sum: Adds a tensor up over the processes.
        add_flops: Told the floating point operations of every pass.
    """

    def __init__(
        self,
        model: Any,
        aggregator: Teleporting,
        collator: Callable[[], Collator],
        seed: int,
        rows: Callable[[], int],
        step_batches: Callable[[], Sequence[Mapping[str, Any]]],
        names: Sequence[str],
        reduce_sum: Callable[[Tensor], Tensor],
        add_flops: Callable[[float], None],
    ):
        self.model = model
        self.aggregator = aggregator
        self.seed = seed
        self._make_collator = collator
        self._rows = rows
        self._step_batches = step_batches
        self._names = list(names)
        self._reduce_sum = reduce_sum
        self._add_flops = add_flops
        self._direction: Tensor | None = None
        self._cosine = 1.0  # what the next step multiplies the betas by
        self._betas = ForOneStep("betas")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forget the last conflict: not every step decides."""
        self.aggregator.last = None

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the aggregated gradient, if a search may follow; take the betas that the last search left."""
        if self._cosine != 1.0:
            cosine = self._cosine
            self._betas.change(optimizer, lambda betas: tuple(cosine * beta for beta in betas))
        self._cosine = 1.0
        conflict = self.aggregator.last
        if conflict is not None and conflict.triggered:
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in shared_parameters(self.model)]
            self._direction = torch.cat([part.flatten() for part in parts]).clone()

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Give the optimizer its own betas back."""
        self._betas.put_back(optimizer)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Search, where it is due."""
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
        with _plain(self.model):
            self._search(self.aggregator.last.sharpness_weights, state.global_step, args.learning_rate)
        after = torch.cat([p.detach().flatten() for p in shared_parameters(self.model)])
        cosine = float(torch.nn.functional.cosine_similarity(after - before, direction, dim=0))
        if cosine > 0:
            self._cosine = cosine
        elif optimizer is not None:
            getattr(optimizer, "optimizer", optimizer).state.clear()  # inside accelerate's

    def state_dict(self) -> dict[str, Any]:
        """What the next step does to the betas."""
        return {"cosine": self._cosine}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self._cosine = float(state["cosine"])

    def _search(self, weights: Tensor, step: int, learning_rate: float) -> None:
        collator = self._make_collator()
        generator = torch.Generator().manual_seed(int(derive_key(self.seed, "teleport", step).view(np.int64)[0] >> 1))
        targets = self._mean_losses(collator)
        adapters = Adapters(self.model, self.aggregator.rank, generator)
        optimizer = torch.optim.Adam(adapters.parameters(), lr=learning_rate)
        current = [
            (to_device(_without_plan(batch), self.model.device), batch["plan"]["counts"])
            for batch in self._step_batches()
        ]
        for number in range(PASSES):
            for batch in self._batches(collator, step, number):
                rows = self._row_losses(batch, adapters.weights())
                distance = torch.stack([(mine.mean() - targets[task]).abs() for task, mine in rows.items()]).mean()
                sharpness = self._sharpness(current, adapters.weights(), weights, generator)
                # Of the adapters alone: what else is trained waits for the next step's gradients.
                far = torch.autograd.grad(10 * distance, adapters.parameters())
                sharp = _gradients(-0.5 * sharpness, adapters.parameters())
                for factor, one, other in zip(adapters.parameters(), far, sharp, strict=True):
                    factor.grad = one + self._reduce_sum(other)
                optimizer.step()
        adapters.merge()

    def _sharpness(
        self,
        batches: Sequence[tuple[Any, Sequence[int]]],
        weights: dict[str, Tensor],
        of_tasks: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        noisy = {}
        for name, weight in weights.items():
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            noisy[name] = weight + noise * (NOISE / noise.norm())
        risen = [torch.zeros((), device=self.model.device) for _ in self._names]
        for batch, counts in batches:
            there, here = self._row_losses(batch, noisy), self._row_losses(batch, weights)
            for task, rows in here.items():
                index = self._names.index(task)
                risen[index] = risen[index] + (there[task] - rows).sum() / max(counts[index], 1)
        mine = torch.stack(risen)
        # The absolute value is of the whole step's difference; this is a process's part of it.
        signs = self._reduce_sum(mine.detach()).sign()
        return (of_tasks.to(mine) * signs * mine).sum() / (len(self._names) * NOISE)

    def _row_losses(self, batch: Mapping[str, Any], weights: dict[str, Tensor]) -> Losses:
        self._add_flops(training_flops(self.model.encoder, batch, backward=True))
        outputs = functional_call(self.model, weights, args=(), kwargs=dict(batch))
        return {task: rows for task, rows in outputs.row_losses.items() if len(rows)}

    @torch.no_grad()
    def _mean_losses(self, collator: Collator) -> dict[str, Tensor]:
        """L0: each task's mean loss over its training rows."""
        sums: dict[str, Tensor] = {}
        for batch in self._batches(collator, 0, 0):
            self._add_flops(training_flops(self.model.encoder, batch, backward=False))
            for task, rows in self.model(**batch).row_losses.items():
                sums[task] = sums.get(task, 0.0) + rows.sum()
        return {task: total / len(collator.splits[task].tokens) for task, total in sums.items()}

    def _batches(self, collator: Collator, step: int, number: int) -> Iterator[dict[str, Any]]:
        """Every training row once, in an order of this search and pass."""
        sizes = [len(split.tokens) for split in collator.splits.values()]
        tasks = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.concatenate([np.arange(size) for size in sizes])
        order = permute(np.arange(len(rows)), len(rows), derive_key(self.seed, "teleport", step, number))
        for start in range(0, len(rows), self._rows()):
            chosen = np.sort(order[start : start + self._rows()])  # sorted: ordered by task
            yield to_device(collator(tasks[chosen], rows[chosen]), self.model.device)


class Adapters:
    """W + B A for every matrix that the tasks share and train, embeddings apart; B is zero at first.

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
        """What is trained."""
        return [factor for pair in self._factors.values() for factor in pair]

    def weights(self) -> dict[str, Tensor]:
        """The adapted matrices by name, with a graph to the adapters."""
        return {name: self._matrices[name].detach() + up @ down for name, (up, down) in self._factors.items()}

    @torch.no_grad()
    def merge(self) -> None:
        """Make the adapted matrices the model's own."""
        for name, weight in self.weights().items():
            self._matrices[name].copy_(weight)


@contextmanager
def _plain(model: Any) -> Iterator[None]:
    """Eval mode, without accelerate's autocast, in which noise of this size is lost."""
    training, patched = model.training, vars(model).get("forward")
    model.eval()
    if "_original_forward" in vars(model):
        model.forward = model._original_forward
    try:
        yield
    finally:
        if patched is not None:
            model.forward = patched
        model.train(training)


def _gradients(total: Tensor, of: Sequence[Tensor]) -> Sequence[Tensor]:
    """Differentiate; zeros where there is no graph, as in a process without a row of the step: the others wait."""
    return torch.autograd.grad(total, of) if total.requires_grad else [torch.zeros_like(one) for one in of]


def _without_plan(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: copy.copy(value) for key, value in batch.items() if key != "plan"}
