"""The loaders that a Trainer iterates: micro-batches of planned steps, and batches of one split to evaluate."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.plan import StepPlan, partition
from hf_mtl.data.steps import StepSource

Batch = dict[str, Any]


@dataclass(frozen=True)
class Workers:
    """Processes that collate ahead.

    Args:
        count: How many; 0 for none.
        prefetch: Micro-batches that each has ready; None: torch's default.
        context: How they are started, such as ``spawn``; None: as is usual on this system.
    """

    count: int = 0
    prefetch: int | None = None
    context: str | None = None


NO_WORKERS = Workers()

GRACE = 30
"""Seconds that a worker lives on after SIGTERM, as long as launchers and schedulers wait for the whole of a run."""


def outlive_signals(worker: int = 0) -> None:
    """In a worker: leave a signal that the whole group of processes gets to the training process.

    That one still needs batches to end its step, and ends the workers itself. A worker that SIGTERM reaches alone
    ends a little later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE)


class _Window(Dataset[Batch]):
    """The micro-batches of one process in one window: nothing in here can change, so workers may run ahead."""

    def __init__(
        self, plans: dict[int, StepPlan], collator: Collator, rank: int, world: int, accumulation: int, seed: int
    ):
        self.plans = plans
        self.collator = collator
        self.rank = rank
        self.world = world
        self.accumulation = accumulation
        self.seed = seed

    def __getitem__(self, index: int) -> Batch:
        plan = self.plans[index // self.accumulation]
        lengths = self.collator.lengths(plan.tasks, plan.rows)
        parts = partition(plan, lengths, self.world * self.accumulation, self.collator.length_grouping)
        mine = parts[index % self.accumulation * self.world + self.rank]
        ghost = len(mine) == 0
        tasks, rows = (plan.tasks[:1], plan.rows[:1]) if ghost else (plan.tasks[mine], plan.rows[mine])
        batch = self.collator(tasks, rows)
        if ghost:
            batch = _of_no_rows(batch)
        step = {"step": plan.step, "counts": plan.counts, "nominal": plan.nominal, "gamma": plan.coefficients}
        return {
            **batch,
            "noise": noise_keys(self.seed, plan.step, tasks, rows),
            "plan": {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in step.items()},
        }


def _of_no_rows(batch: Batch) -> Batch:
    """A batch whose row the encoder sees, and whose head sees none.

    A step with fewer rows than micro-batches leaves some of these without any. All processes have to run the same
    parameters nevertheless, backwards too, or they would wait for each other: here with gradients of zero.
    """
    return {
        **batch,
        "segments": dict.fromkeys(batch["segments"], (0, 0)),
        "labels": {task: labels[:0] for task, labels in batch["labels"].items()},
    }


def noise_keys(seed: int, step: int, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Keys of the heads' randomness: of each row in its step, int64 [B], and of the step.

    Args:
        seed: The run's seed.
        step: The optimizer step.
        tasks: Task index of each row, [B].
        rows: Row in that task's split, [B].
    """
    of_rows = derive_key("head noise", seed, step, tasks, rows).view(np.int64)
    of_step = derive_key("head noise", seed, step).view(np.int64)
    return {"rows": torch.from_numpy(of_rows), "step": int(of_step[0])}


def _first(items: list[Batch]) -> Batch:
    return items[0]


class PlannedSteps(Dataset[Batch]):
    """This process's micro-batches, by number: optimizer step x accumulation + place in the step.

    Made in the training process on demand, so that no step is planned before the window before it has ended.
    Workers prefetch within a window only.

    Args:
        source: The plans.
        collator: Rows to batches.
        rank: This process.
        world: Number of processes.
        accumulation: Micro-batches of each process per step.
        workers: Processes that collate ahead.
        seed: Seed of the heads' randomness.
    """

    def __init__(
        self,
        source: StepSource,
        collator: Collator,
        rank: int,
        world: int,
        accumulation: int,
        workers: Workers = NO_WORKERS,
        seed: int = 0,
    ):
        self.source = source
        self.collator = collator
        self.rank = rank
        self.world = world
        self.accumulation = accumulation
        self.workers = workers
        self.seed = seed
        self._ahead: Iterator[Batch] | None = None
        self._next = -1

    def __getitem__(self, index: int) -> Batch:
        plan = self.source.plan(index // self.accumulation)
        if self.workers.count == 0:
            return self._window({plan.step: plan})[index]
        if index != self._next or self._ahead is None:
            self._ahead = self._prefetch(index)
        self._next = index + 1
        if self._next == self.source.window_end * self.accumulation:
            self._next = -1
        return next(self._ahead)

    def close(self) -> None:
        """End the workers: Python's exit would send them SIGTERM, which they outlive, and wait for them."""
        self._ahead, self._next = None, -1

    def _window(self, plans: dict[int, StepPlan]) -> _Window:
        return _Window(plans, self.collator, self.rank, self.world, self.accumulation, self.seed)

    def _prefetch(self, index: int) -> Iterator[Batch]:
        """Collate the rest of the window in workers."""
        end = self.source.window_end
        plans = {step: self.source.plan(step) for step in range(index // self.accumulation, end)}
        return iter(
            DataLoader(
                self._window(plans),
                batch_size=None,
                sampler=range(index, end * self.accumulation),
                num_workers=self.workers.count,
                prefetch_factor=self.workers.prefetch,
                multiprocessing_context=self.workers.context,
                worker_init_fn=outlive_signals,
                generator=torch.Generator(),  # its own: the global one belongs to dropout
            )
        )


class _EpochSampler(Sampler[list[int]]):
    """Numbers of the micro-batches of the epoch in which iteration begins."""

    def __init__(self, steps_per_epoch: int, accumulation: int, current_step: Callable[[], int]):
        self.steps_per_epoch = steps_per_epoch
        self.accumulation = accumulation
        self.current_step = current_step

    def __len__(self) -> int:
        return self.steps_per_epoch * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        first = self.current_step() // self.steps_per_epoch * self.steps_per_epoch * self.accumulation
        for number in range(first, first + len(self)):
            yield [number]


def train_loader(
    steps: PlannedSteps, steps_per_epoch: int, current_step: Callable[[], int], pin_memory: bool = False
) -> DataLoader[Batch]:
    """The loader of one process. Skipping batches on resume skips numbers, not data.

    Args:
        steps: This process's micro-batches.
        steps_per_epoch: Optimizer steps of an epoch.
        current_step: Answers the number of optimizer steps done.
        pin_memory: Copy batches to pinned memory.
    """
    sampler = _EpochSampler(steps_per_epoch, steps.accumulation, current_step)
    return DataLoader(
        steps, batch_sampler=sampler, collate_fn=_first, pin_memory=pin_memory, generator=torch.Generator()
    )


def evaluation_batches(lengths: NDArray[np.int32], batch_size: int, rank: int, world: int) -> list[NDArray[np.int64]]:
    """Rows of each batch that a process evaluates: similar lengths together, long ones first.

    Every row is in exactly one batch of exactly one process; nothing is repeated to fill up.

    Args:
        lengths: Tokens of each row, [n].
        batch_size: Rows of a batch.
        rank: This process.
        world: Number of processes.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return batches[rank::world]
