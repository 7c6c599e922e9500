"""The rows of streams: drawn once, encoded once, they carry every label that they have; see `stream_names`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.permutation import derive_key, uniform
from hf_mtl.data.plan import MixtureState, Planner, StepPlan
from hf_mtl.data.roster import Roster
from hf_mtl.data.stream_names import streams_of
from hf_mtl.data.tokens import EncodedSplit

_NO_ROW = -1


@dataclass(frozen=True, eq=False)
class Streams:
    """The streams of a run.

    Args:
        tasks: The tasks, in task order.
        members: The tasks of each stream, by index.
        rows: For each task, its row that each row of its stream is, int64 [rows of the stream]; -1: the stream's row
            has no label of the task. None: the task is a stream of its own, whose rows are the task's.
    """

    tasks: Sequence[str]
    members: Mapping[str, Sequence[int]]
    rows: Sequence[NDArray[np.int64] | None]
    task_sizes: Mapping[str, int]

    @classmethod
    def of(cls, splits: Mapping[str, EncodedSplit]) -> "Streams":
        """Find the streams of encoded training rows.

        Rows of two tasks are the same row if they have the same tokens: of texts that repeat within a task, the
        first is that of the other task's first, and so on.

        Args:
            splits: The training rows of each task, in task order.
        """
        names = list(splits)
        groups = streams_of({name: split.source for name, split in splits.items()})
        rows: dict[str, NDArray[np.int64] | None] = dict.fromkeys(names)
        for group in groups.values():
            if len(group) > 1:
                rows |= zip(group, _joined([splits[name] for name in group]), strict=True)
        members = {stream: [names.index(name) for name in group] for stream, group in groups.items()}
        return cls(names, members, list(rows.values()), {name: len(split) for name, split in splits.items()})

    @property
    def names(self) -> dict[str, list[str]]:
        """The tasks of each stream, by name."""
        return {stream: [self.tasks[index] for index in members] for stream, members in self.members.items()}

    @property
    def are_tasks(self) -> bool:
        """Tell whether every task is a stream of its own."""
        return len(self.members) == len(self.tasks)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Training rows of each stream."""
        found = {}
        for stream, members in self.members.items():
            rows = self.rows[members[0]]
            found[stream] = self.task_sizes[self.tasks[members[0]]] if rows is None else len(rows)
        return found

    @cached_property
    def of_task(self) -> NDArray[np.int64]:
        """The stream of each task, by index, [T]."""
        found = np.empty(len(self.tasks), dtype=np.int64)
        for index, members in enumerate(self.members.values()):
            found[list(members)] = index
        return found

    def per_task(self, of_streams: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn expected rows of streams [..., S] into expected labels of tasks [..., T]."""
        sizes = np.array(list(self.sizes.values()), dtype=np.float64)
        labelled = np.array(list(self.task_sizes.values()), dtype=np.float64)
        return np.asarray(of_streams[..., self.of_task] * (labelled / sizes[self.of_task]))

    def mean_over_rows(self, values: Mapping[str, NDArray[np.integer]]) -> float:
        """Return the mean over the rows of a stream of what each row has for all of its tasks, such as its tokens.

        Args:
            values: For each task of the stream, that of its rows.
        """
        found = np.zeros(self.sizes["+".join(values)])
        for name, of_rows in values.items():
            mine = self._task_rows(self.tasks.index(name), np.arange(len(found)))
            found[mine != _NO_ROW] = of_rows[mine[mine != _NO_ROW]]
        return float(found.mean())

    def roster(self, of_tasks: Roster, seed: int, start: int) -> Roster:
        """Return which streams take part in the steps of a window: those of which any task does.

        Args:
            of_tasks: Which tasks do.
            seed: Seed of the planner's draws.
            start: First step of the window.
        """
        if self.are_tasks:
            return of_tasks
        present = of_tasks.present(seed, start)
        there = np.stack([present[:, members].any(axis=1) for members in self._indices], axis=1).astype(np.float64)
        given = [of_tasks.redistributed[:, members].any(axis=1) for members in self._indices]
        return Roster(there, there, np.stack(given, axis=1))

    @property
    def _indices(self) -> list[list[int]]:
        return [list(members) for members in self.members.values()]

    def plans(
        self, planner: Planner, state: MixtureState, of_tasks: Roster | None, plans: Sequence[StepPlan]
    ) -> list[StepPlan]:
        """Turn plans of streams into plans of tasks: each row becomes one of every task that has a label of it.

        Args:
            planner: Has made the plans.
            state: Their window.
            of_tasks: Which tasks take part; None: all.
            plans: The plans of the window's steps, of streams.
        """
        if self.are_tasks:
            return list(plans)
        roster = of_tasks or Roster.everyone(len(plans), len(self.tasks))
        present = roster.present(planner.seed, state.start)
        coefficients = np.where(present, roster.coefficients, 0.0)
        cursors = state.cursors.copy()
        found = []
        for offset, plan in enumerate(plans):
            dropped = self._labels_of_dropped(planner, cursors, plan)
            found.append(self._plan_of_tasks(planner, plan, present[offset], coefficients[offset], dropped))
            cursors = cursors + plan.counts
        return found

    def _labels_of_dropped(self, planner: Planner, cursors: NDArray[np.int64], plan: StepPlan) -> NDArray[np.int64]:
        """Count the labels of rows that a step would have, had schedules not dropped them: those that come next."""
        counts = np.zeros(len(self.tasks), dtype=np.int64)
        for index, (stream, members) in enumerate(self.members.items()):
            missing = int(plan.nominal[index] - plan.counts[index])
            if missing > 0:
                next_ones = planner.rows_at(stream, cursors[index] + plan.counts[index] + np.arange(missing))
                for task in members:
                    counts[task] += int((self._task_rows(task, next_ones) != _NO_ROW).sum())
        return counts

    def _plan_of_tasks(
        self,
        planner: Planner,
        plan: StepPlan,
        present: NDArray[np.bool_],
        coefficients: NDArray[np.float64],
        dropped: NDArray[np.int64],
    ) -> StepPlan:
        everything, _, _ = self._labelled(plan, np.ones_like(present))
        nominal = np.bincount(everything, minlength=len(self.tasks)) + dropped
        if not len(self._labelled(plan, present)[0]):
            # Rows were drawn of which none has a label of a task that takes part, and a step needs one. It takes the
            # place of one that was drawn, and counts as one of them: the step is no more than it would have been.
            plan = self._with_one_row(planner, plan, present)
            nominal[nominal.argmax()] -= 1
            nominal += np.bincount(self._labelled(plan, present)[0], minlength=len(self.tasks))
        tasks, rows, texts = self._labelled(plan, present)
        kept, places = np.unique(texts, return_inverse=True)
        counts = np.bincount(plan.tasks[kept], minlength=len(self.members))
        drawn = replace(plan, tasks=plan.tasks[kept], rows=plan.rows[kept], counts=counts)
        return StepPlan(
            step=plan.step,
            counts=np.bincount(tasks, minlength=len(self.tasks)),
            nominal=nominal,
            coefficients=coefficients,
            tasks=tasks,
            rows=rows,
            texts=places.astype(np.int64),
            drawn=drawn,
        )

    def _labelled(
        self, plan: StepPlan, present: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find the labels of a step's rows: the task of each, its row there, and the row of the step, by task."""
        tasks, rows, texts = [], [], []
        for task in np.flatnonzero(present).tolist():
            mine = np.flatnonzero(plan.tasks == self.of_task[task])
            of_task = self._task_rows(task, plan.rows[mine])
            there = of_task != _NO_ROW
            tasks.append(np.full(int(there.sum()), task, dtype=np.int64))
            rows.append(of_task[there])
            texts.append(mine[there])
        none = np.zeros(0, dtype=np.int64)
        return np.concatenate([none, *tasks]), np.concatenate([none, *rows]), np.concatenate([none, *texts])

    def _with_one_row(self, planner: Planner, plan: StepPlan, present: NDArray[np.bool_]) -> StepPlan:
        """Return a plan of one row instead, of one of the tasks that take part, drawn by their number of rows."""
        sizes = np.array(list(self.task_sizes.values()), dtype=np.float64) * present
        numbers = uniform(derive_key(planner.seed, "one label", np.arange(2) + 2 * plan.step))
        task = min(int(np.searchsorted(np.cumsum(sizes / sizes.sum()), numbers[0])), int(np.flatnonzero(present)[-1]))
        row, rows = int(numbers[1] * sizes[task]), self.rows[task]
        of_stream = row if rows is None else int(np.flatnonzero(rows == row)[0])
        return replace(plan, tasks=self.of_task[[task]], rows=np.array([of_stream]))

    def _task_rows(self, task: int, of_stream: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of a task that each of some rows of its stream is; -1 where it has no label of the task."""
        rows = self.rows[task]
        return of_stream if rows is None else rows[of_stream]


def _joined(splits: Sequence[EncodedSplit]) -> list[NDArray[np.int64]]:
    """Find out which rows of several tasks are the same, and number all that there are.

    They are numbered as they come: those of the first task, then those that only the next ones have.

    Returns:
        For each task the row that each of these is, -1 where the task has it not, [rows in any].
    """
    keys = [_row_keys(split) for split in splits]
    distinct, first, numbers = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    place = np.empty(len(distinct), dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(len(distinct))
    found = []
    for mine in np.split(place[numbers], np.cumsum([len(key) for key in keys])[:-1]):
        rows = np.full(len(distinct), _NO_ROW, dtype=np.int64)
        rows[mine] = np.arange(len(mine))
        found.append(rows)
    return found


def _row_keys(split: EncodedSplit) -> NDArray[np.uint64]:
    """Return a key for each row, equal for the n-th row of the same tokens in another split, uint64 [n]."""
    tokens = split.tokens
    if split.sites is not None:  # the sequences of a row follow each other
        tokens = replace(tokens, offsets=tokens.offsets[split.sites.starts], cut=np.zeros(len(split), dtype=bool))
    digests = (hashlib.blake2b(tokens.content(row), digest_size=8).digest() for row in range(len(tokens)))
    hashes = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    repeated = np.empty(len(hashes), dtype=np.int64)
    repeated[order] = np.arange(len(hashes)) - np.repeat(begins, np.diff(np.r_[begins, len(hashes)]))
    return derive_key(hashes, repeated)
