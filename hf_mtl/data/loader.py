"""The loaders that a Trainer iterates: micro-batches of planned steps, and batches of one split to evaluate."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from hf_mtl.batch import Batch, NoiseKeys, StepFacts, no_sites
from hf_mtl.data.batch_sites import labels_of, sites_of
from hf_mtl.data.collate import Collator
from hf_mtl.data.course import Course
from hf_mtl.data.dealing import Deal
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.plan import StepPlan
from hf_mtl.data.steps import StepSource
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.data.workers import NO_WORKERS, Crew, Workers

Asked: TypeAlias = tuple[StepPlan, int]
"""The plan of a step and a place in it, of which a micro-batch is made."""


class _Collation(Dataset[Batch | list[Batch]]):
    """Makes the micro-batches of one process; nothing in here can change, so that workers may have a copy."""

    def __init__(self, collator: Collator, rank: int, deal: Deal, seed: int):
        self.collator = collator
        self.rank = rank
        self.deal = deal
        self.seed = seed

    def __getitem__(self, asked: Asked) -> Batch | list[Batch]:
        plan, place = asked
        lengths = self.collator.lengths(plan.tasks, plan.rows)
        parts = self.deal.parts(plan, lengths, self.collator.group_cost is not None)[self.rank :: self.deal.world]
        if self.deal.limit is not None:
            return [self._batch(plan, mine) for mine in parts]
        return self._batch(plan, parts[place])

    def _batch(self, plan: StepPlan, mine: NDArray[np.int64]) -> Batch:
        """Make one micro-batch of some of a plan's rows."""
        ghost = len(mine) == 0
        tasks, rows = (plan.tasks[:1], plan.rows[:1]) if ghost else (plan.tasks[mine], plan.rows[mine])
        batch = self.collator(tasks, rows)
        if ghost:
            batch = _of_no_rows(batch)
        if self.collator.names_every_task:
            batch = _of_every_task(batch, np.flatnonzero(plan.counts), self.collator.splits)
        return {
            **batch,
            "noise": noise_keys(self.seed, plan.step, *self.collator.sequences(tasks, rows)),
            "plan": self._facts(plan, mine),
        }

    def _facts(self, plan: StepPlan, mine: NDArray[np.int64]) -> StepFacts:
        # Of the whole step, known from the plan alone: all processes divide by the same sums, without a message.
        masses = self.collator.masses
        return {
            "step": plan.step,
            "counts": plan.counts.tolist(),
            "nominal": plan.nominal.tolist(),
            "coefficients": plan.coefficients.tolist(),
            "masses": masses(plan.tasks, plan.rows).tolist(),
            "own_masses": masses(plan.tasks[mine], plan.rows[mine]).tolist(),
        }


def _of_no_rows(batch: Batch) -> Batch:
    """Return a batch whose row the encoder sees, and whose head sees none.

    A step with fewer rows than micro-batches leaves some of these without any. All processes have to run the same
    parameters nevertheless, backwards too, or they would wait for each other: here with gradients of zero.
    """
    empty: Batch = {
        **batch,
        "segments": dict.fromkeys(batch["segments"], (0, 0)),
        "labels": {task: labels[:0] for task, labels in batch["labels"].items()},
    }
    empty.pop("row_weights", None)
    if "sites" in batch:
        empty["sites"] = {task: no_sites(sites) for task, sites in batch["sites"].items()}
    return empty


def _of_every_task(batch: Batch, tasks: NDArray[np.int64], splits: Mapping[str, EncodedSplit]) -> Batch:
    """Return a batch that names all tasks of its step, of some of which it has no row.

    Processes that hold a part of every parameter add up gradients by their place among others, and would add those of
    one head to another's. A head that sees no rows has gradients of zero, in its turn, as on every other process.

    Args:
        batch: The batch.
        tasks: Index of each task that the step has, ascending.
        splits: The rows of each task, in task order.
    """
    none = np.zeros(0, dtype=np.int64)
    segments, labels, sites, end = {}, {}, dict(batch.get("sites", {})), 0
    for name, split in (list(splits.items())[task] for task in tasks):
        segments[name] = _, end = batch["segments"].get(name, (end, end))
        looked = sites.get(name) or sites_of(split, none)
        if looked is not None:
            sites[name] = looked
        if split.labelled:
            labels[name] = batch["labels"].get(name, labels_of(split, none, looked))
    found: Batch = {**batch, "segments": segments, "labels": labels}
    if sites:
        found["sites"] = sites
    return found


def noise_keys(seed: int, step: int, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> NoiseKeys:
    """Return the keys of the heads' randomness: of each sequence in its step, int64 [B], and of the step.

    Args:
        seed: The run's seed.
        step: The optimizer step.
        tasks: Task index of each sequence, [B].
        rows: Its number in that task's split, [B]: that of its row, where rows are one sequence.
    """
    of_rows = derive_key("head noise", seed, step, tasks, rows).view(np.int64)
    of_step = derive_key("head noise", seed, step).view(np.int64)
    return {"rows": torch.from_numpy(of_rows), "step": int(of_step[0])}


def _first(items: list[Batch | list[Batch]]) -> Batch | list[Batch]:
    return items[0]


class PlannedSteps(Dataset[Batch | list[Batch]]):
    """This process's micro-batches, by number: optimizer step x accumulation + place in the step.

    Where a deal limits them there are as many as the step needs: one number, the step, stands for the list of them.

    Made in the training process on demand, so that no step is planned before the window before it has ended.
    Workers live on from window to window, and are told of a window when it has begun.

    Args:
        source: The plans.
        collator: Rows to batches.
        rank: This process.
        deal: Which rows of a step go where.
        workers: Processes that collate ahead.
        seed: Seed of the heads' randomness.
    """

    def __init__(
        self,
        source: StepSource,
        collator: Collator,
        rank: int,
        deal: Deal,
        workers: Workers = NO_WORKERS,
        seed: int = 0,
    ):
        self.source = source
        self.accumulation = deal.accumulation
        self.workers = workers
        self._make = _Collation(collator, rank, deal, seed)
        self._crew: Crew[Asked, Batch | list[Batch]] | None = None
        self._ahead: Iterator[Batch | list[Batch]] | None = None
        self._next = -1

    def __getitem__(self, index: int) -> Batch | list[Batch]:
        step, place = divmod(index, self.accumulation)
        plan = self.source.plan(step)
        if self.workers.count == 0:
            return self._make[plan, place]
        if index != self._next or self._ahead is None:
            self._ahead = self._hand_out(index)
        batch = next(self._ahead)
        self._next = index + 1
        if self._next == self.source.window_end * self.accumulation:
            self._ahead = None
        if self.workers.steps is not None and self._next % (self.workers.steps * self.accumulation) == 0:
            self.close()
        return batch

    def close(self) -> None:
        """End the workers."""
        self._ahead, self._next = None, -1
        if self._crew is not None:
            self._crew.end()
            self._crew = None

    def _hand_out(self, index: int) -> Iterator[Batch | list[Batch]]:
        """Have workers collate the rest of the window, or of what they live for."""
        end = self.source.window_end
        if self.workers.steps is not None:
            begun = index // self.accumulation // self.workers.steps
            end = min(end, (begun + 1) * self.workers.steps)
        if self._crew is None:
            self._crew = Crew(self._make, self.workers)
        numbers = (divmod(number, self.accumulation) for number in range(index, end * self.accumulation))
        return self._crew.work([(self.source.plan(step), place) for step, place in numbers])


class _EpochSampler(Sampler[list[int]]):
    """Numbers of the micro-batches of the epoch in which iteration begins."""

    def __init__(self, course: Course):
        self.course = course

    def __len__(self) -> int:
        return self.course.steps_per_epoch * self.course.micro_batches

    def __iter__(self) -> Iterator[list[int]]:
        first = self.course.step // self.course.steps_per_epoch * len(self)
        for number in range(first, first + len(self)):
            yield [number]


def train_loader(steps: PlannedSteps, course: Course, pin_memory: bool = False) -> DataLoader[Batch | list[Batch]]:
    """Make the loader of one process. Skipping batches on resume skips numbers, not data.

    Args:
        steps: This process's micro-batches.
        course: Knows how long an epoch is, and the step at which it begins.
        pin_memory: Copy batches to pinned memory.
    """
    # The generator is a loader's own, as it would draw a seed from torch's.
    return DataLoader(
        steps,
        batch_sampler=_EpochSampler(course),
        collate_fn=_first,
        pin_memory=pin_memory,
        generator=torch.Generator(),
    )
