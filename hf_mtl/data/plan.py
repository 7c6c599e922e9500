"""Plans of steps: the rows of each task that make one optimizer step, over all processes.

The plan is a pure function of the seed, the step and a small state (`MixtureState`). Processes, micro-batches
and layouts only partition its rows; see `partition`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.permutation import derive_key, permute, uniform
from hf_mtl.data.roster import Roster
from hf_mtl.errors import UserError


@dataclass(frozen=True)
class MixtureState:
    """State of the plan at the first step of a window.

    Args:
        start: First step of the window.
        probabilities: Probability of each task in this window, [T].
        cursors: Rows of each task handed out before the window, [T].
    """

    start: int
    probabilities: NDArray[np.float64]
    cursors: NDArray[np.int64]


@dataclass(frozen=True)
class StepPlan:
    """The rows of one optimizer step, ordered by task.

    Args:
        step: The optimizer step, from 0.
        counts: Rows of each task, n_t, [T]; they sum to B, or to less where a schedule has dropped rows.
        nominal: What n_t would be with the dropped rows, [T]; they sum to B.
        coefficients: gamma_t, which multiplies the task's part of the objective, [T]; 0 where a schedule has the task
            sit out.
        tasks: Task index of each row, [B], ascending.
        rows: Row of that task's training split, [B].
        texts: Which row of ``drawn`` each of them is, int64 [B], where tasks share rows; None: they do not.
        drawn: The rows as they were drawn, of streams in place of tasks, with ``texts``; see `hf_mtl.data.streams`.
    """

    step: int
    counts: NDArray[np.int64]
    nominal: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]
    texts: NDArray[np.int64] | None = None
    drawn: "StepPlan | None" = None

    @property
    def encoded(self) -> NDArray[np.int64]:
        """Return the places of the rows that are encoded, ascending: of those that are one text, the first."""
        if self.texts is None:
            return np.arange(len(self.rows))
        return np.sort(np.unique(self.texts, return_index=True)[1])


class Planner:
    """Draws the rows of every step.

    n_t by systematic sampling: with cumulative expected rows E and one uniform u per step,
    n_t = floor(E_t + u) - floor(E_{t-1} + u): unbiased, sums to B, each within one of its expectation. The rows
    of a task follow a seeded permutation per pass, so that none repeats before all have been seen.

    Args:
        sizes: Training rows of each task, in task order.
        rows_per_step: Rows of one optimizer step, B.
        seed: Seed of all draws.
        window_steps: Steps W of a window.
        min_per_task: Rows that every task gets in every step.
        one_task_per_step: Give all B rows of a step to one task, drawn with its probability.

    Raises:
        UserError: If B rows cannot hold ``min_per_task`` rows of every task.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        rows_per_step: int,
        seed: int,
        window_steps: int,
        min_per_task: int = 0,
        one_task_per_step: bool = False,
    ):
        if min_per_task * len(sizes) > rows_per_step:
            raise UserError(
                f"mixture.min_per_task: {min_per_task} rows of each of {len(sizes)} tasks do not fit into a step of "
                f"{rows_per_step} rows; raise training.per_device_train_batch_size, or lower min_per_task"
            )
        if window_steps < 1 or rows_per_step < 1:
            raise UserError("training.window_steps and the rows per step must be at least 1")
        self.sizes = dict(sizes)
        self.rows_per_step = rows_per_step
        self.seed = seed
        self.window_steps = window_steps
        self.min_per_task = min_per_task
        self.one_task_per_step = one_task_per_step

    def first_window(self, probabilities: NDArray[np.float64]) -> MixtureState:
        """Return the state before step 0."""
        return MixtureState(0, probabilities, np.zeros(len(self.sizes), dtype=np.int64))

    def next_window(
        self, state: MixtureState, probabilities: NDArray[np.float64], roster: Roster | None = None
    ) -> MixtureState:
        """Return the state of the window after this one.

        Args:
            state: The window that ends.
            probabilities: Probability of each task in the next one, [T].
            roster: The tasks of the window that ends; None: all.
        """
        counts, _ = self.window_counts(state, roster)
        cursors = state.cursors + counts.sum(axis=0)
        return MixtureState(state.start + self.window_steps, probabilities, cursors)

    def expected_rows(
        self, probabilities: NDArray[np.float64], absent: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Return expected rows of each task per step, [T], with ``min_per_task`` taken from the tasks that have more.

        Args:
            probabilities: Probability of each task, [T].
            absent: Tasks that get no rows at all, [T]; their probability is 0. None: none.
        """
        expected = self.rows_per_step * probabilities
        floor = np.full(len(expected), float(self.min_per_task))
        if absent is not None:
            floor[absent] = 0.0
        low = np.zeros(len(expected), dtype=bool)
        # Raising one task to the floor shrinks the others, which can push another one under it.
        while (expected[~low] < floor[~low]).any():
            low |= expected < floor
            rest = self.rows_per_step - floor[low].sum()
            scaled = rest * probabilities / max(float(probabilities[~low].sum()), 1e-300)
            expected = np.asarray(np.where(low, floor, scaled), dtype=np.float64)
        return expected

    def window_counts(
        self, state: MixtureState, roster: Roster | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count each task's rows in every step of the window, without and with those dropped, [W, T] each.

        Args:
            state: The window.
            roster: Its tasks; None: all.
        """
        roster = roster or Roster.everyone(self.window_steps, len(self.sizes))
        present = roster.present(self.seed, state.start)
        # One task per step cannot be dropped: the step would have no rows.
        nominal = self._draw(state, ~present & (roster.redistributed | self.one_task_per_step))
        counts = np.where(present, nominal, 0)
        for offset in np.flatnonzero(counts.sum(axis=1) == 0):
            # The draw gave all rows to tasks that are dropped, and a step needs a row: one of them changes hands.
            shares = np.cumsum(self._without(state.probabilities, ~present[offset]))
            drawn = uniform(derive_key(self.seed, "one row", int(state.start + offset)))[0]
            task = min(int(np.searchsorted(shares, drawn, side="right")), int(np.flatnonzero(present[offset])[-1]))
            nominal[offset, nominal[offset].argmax()] -= 1
            nominal[offset, task] += 1
            counts[offset, task] = 1
        return counts, nominal

    def _draw(self, state: MixtureState, absent: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Draw the rows of each task in every step, [W, T]; those of absent tasks go to the others."""
        counts = np.zeros(absent.shape, dtype=np.int64)
        steps = np.arange(state.start, state.start + self.window_steps)
        draws = uniform(derive_key(self.seed, "counts", steps))
        patterns, members = np.unique(absent, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            mine = members.reshape(-1) == number
            counts[mine] = self._draw_steps(self._without(state.probabilities, pattern), pattern, draws[mine])
        return counts

    @staticmethod
    def _without(probabilities: NDArray[np.float64], absent: NDArray[np.bool_]) -> NDArray[np.float64]:
        left = np.where(absent, 0.0, probabilities)
        if not absent.any():
            return probabilities
        if left.sum() <= 0:
            raise UserError("schedules: there is a step in which no task takes part; let one task stay in every step")
        return np.asarray(left / left.sum())

    def _draw_steps(
        self, probabilities: NDArray[np.float64], absent: NDArray[np.bool_], draws: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Draw the rows of each task in steps with the same tasks, [steps, T]."""
        if self.one_task_per_step:
            cumulative = np.cumsum(probabilities)
            chosen = np.minimum(np.searchsorted(cumulative, draws, side="right"), len(cumulative) - 1)
            return self.rows_per_step * np.eye(len(cumulative), dtype=np.int64)[chosen]
        # Rounding keeps an expectation that is an integer from losing a row to the last bit of the cumulative sum.
        edges = np.round(np.cumsum(self.expected_rows(probabilities, absent)), 9)
        last = int(np.flatnonzero(~absent)[-1])
        edges[last:] = self.rows_per_step
        upper = np.floor(edges[None, :] + draws[:, None]).astype(np.int64)
        upper[:, last:] = self.rows_per_step  # also for a draw so close to 1 that the sum rounds up
        return np.diff(upper, axis=1, prepend=0)

    def rows_at(self, name: str, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of a task at some places of its stream: a permutation of its rows for every pass.

        Args:
            name: The task.
            positions: Places, from 0 at the beginning of the run.
        """
        size = self.sizes[name]
        return permute(positions % size, size, derive_key(self.seed, "rows", name, positions // size))

    def window_plans(self, state: MixtureState, roster: Roster | None = None) -> list[StepPlan]:
        """Return the plans of all W steps of the window.

        Args:
            state: The window.
            roster: Its tasks; None: all.
        """
        roster = roster or Roster.everyone(self.window_steps, len(self.sizes))
        counts, nominal = self.window_counts(state, roster)
        coefficients = np.where(roster.present(self.seed, state.start), roster.coefficients, 0.0)
        rows_of: list[list[NDArray[np.int64]]] = []
        for index, name in enumerate(self.sizes):
            positions = state.cursors[index] + np.arange(counts[:, index].sum())
            rows_of.append(np.split(self.rows_at(name, positions), np.cumsum(counts[:-1, index])))
        names = np.arange(len(self.sizes))
        return [
            StepPlan(
                step=state.start + offset,
                counts=counts[offset],
                nominal=nominal[offset],
                coefficients=coefficients[offset],
                tasks=np.repeat(names, counts[offset]),
                rows=np.concatenate([rows[offset] for rows in rows_of]),
            )
            for offset in range(self.window_steps)
        ]


def partition(
    plan: StepPlan, lengths: NDArray[np.integer[Any]], parts: int, by_length: bool
) -> list[NDArray[np.int64]]:
    """Split a step's rows into as many micro-batches as processes x accumulation need.

    Args:
        plan: The step.
        lengths: Tokens of each row of the plan, [B].
        parts: Number of micro-batches over all processes.
        by_length: Deal rows by length, so that all micro-batches cost about the same; otherwise cut the rows in
            order, with the tasks interleaved.

    Returns:
        Positions into the plan's rows, one array per part, each ascending (ordered by task).
    """
    if by_length:
        order = np.argsort(-lengths.astype(np.int64), kind="stable")
        lap = np.arange(len(order)) // parts
        seat = np.arange(len(order)) % parts
        owner = np.where(lap % 2 == 0, seat, parts - 1 - seat)  # there and back, as in drawing teams
        return [np.sort(order[owner == part]) for part in range(parts)]
    within = np.concatenate([(np.arange(count) + 0.5) / count for count in plan.counts if count])
    order = np.argsort(within, kind="stable")
    return [np.sort(part) for part in np.array_split(order, parts)]
