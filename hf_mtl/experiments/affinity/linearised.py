"""Affinities from linear models of groups of tasks, at one checkpoint of a joint run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from hf_mtl.data.train_rows import TrainRows
from hf_mtl.errors import Mistake, UserError
from hf_mtl.experiments.affinity.linear_model import LinearRows, choose_ridge, fit, ridge_unit
from hf_mtl.experiments.affinity.links import Numbers
from hf_mtl.experiments.affinity.matrix import Matrix
from hf_mtl.experiments.affinity.projection import DIMENSIONS, Projection
from hf_mtl.experiments.affinity.row_slopes import linear_rows
from hf_mtl.experiments.affinity.subject import Subject

LARGEST_SAMPLED = 4
"""Most tasks of a sampled group."""
_PER_TASK = 2
"""Sampled groups for each task."""


@dataclass(frozen=True)
class Linearised:
    """What the linear models of groups say.

    Args:
        values: Affinity of task i to task j, [T, T]: mean over groups with both of the part by which j's validation
            loss drops when i joins the others.
        errors: Standard error of each over the validation rows of j, [T, T]: of these models, not of other draws of
            the rows that they were fitted to.
        ridge: The λ of all groups, in the units of `ridge_unit`.
        groups: How many groups were fitted.
        parts: By j and then i what each validation row of j says of i, and the weights of these rows.
    """

    values: Matrix
    errors: Matrix
    ridge: float
    groups: int
    parts: Mapping[int, tuple[Mapping[int, Numbers], Numbers]] = field(default_factory=dict, repr=False)

    def error_of_sum(self, weights: Matrix) -> float:
        """Return the standard error of a weighted sum of affinities.

        The affinities to one task are read on the same rows, so that their errors are not independent.

        Args:
            weights: Of the affinities, [T, T].
        """
        variances = [
            _error(np.sum([weights[i, j] * each for i, each in joins.items()], axis=0), of_rows) ** 2
            for j, (joins, of_rows) in self.parts.items()
        ]
        return float(np.sqrt(sum(variances)))


def linearised(
    subject: Subject, rows: int, seed: int, dimensions: int = DIMENSIONS, sampled: int | None = None
) -> Linearised:
    """Measure affinities from the linear models of pairs and of sampled groups.

    At the checkpoint the loss of each row is linearised in the shared parameters, in a random projection of them
    (`links`); heads stay as they are. For a group the shift of the parameters is fitted to the group's training rows
    (`linear_model`), and read is the loss of each of its tasks on validation rows.

    Source: "Scalable Multitask Learning Using Gradient-based Estimation of Task Affinity" (Grad-TAG, arXiv
    2409.06091). There tasks are binary classifications; other types are taken as `links` has them.

    Args:
        subject: The model, with validation rows of every task.
        rows: Training rows, and validation rows, of each task; all of them where it has no more.
        seed: Seed of the projection, of the folds that choose the ridge, and of the sampled groups.
        dimensions: Of the projection.
        sampled: Groups of three tasks or four beside the pairs; None: two for each task.

    Raises:
        UserError: If a task has no validation rows, or a loss is below 0 or no number.
    """
    validation = subject.validation
    refuse_without_validation(subject.tasks, {} if validation is None else validation.sizes)
    assert validation is not None
    sizes = [parameter.numel() for parameter in subject.parameters]
    projection = Projection(sizes, dimensions, seed, subject.parameters[0].device)
    with subject.looking():
        fitted = _drawn(subject, subject.train, rows, projection)
        read = _drawn(subject, validation, rows, projection)
    return affinities(fitted, read, seed, _PER_TASK * len(fitted) if sampled is None else sampled)


def refuse_without_validation(tasks: Iterable[str], sizes: Mapping[str, int]) -> None:
    """Refuse tasks that have no rows to read losses on.

    Args:
        tasks: The tasks.
        sizes: Validation rows of those that have any.

    Raises:
        UserError: Naming them.
    """
    found, remedy = "has no validation rows to read losses on", "Give it some, or use --method lookahead"
    if mistakes := [Mistake(f"tasks.{task}", found, remedy) for task in tasks if not sizes.get(task)]:
        raise UserError(mistakes)


def _drawn(subject: Subject, of: TrainRows, rows: int, projection: Projection) -> dict[str, LinearRows]:
    """Linearise some rows of every task."""
    drawn = {task: of.draw(task, rows, "affinity", task) for task in subject.tasks}
    return {task: linear_rows(subject, of, task, mine, projection) for task, mine in drawn.items()}


def affinities(
    fitted: Mapping[str, LinearRows], read: Mapping[str, LinearRows], seed: int, sampled: int
) -> Linearised:
    """Fit the groups and compare them.

    Args:
        fitted: The rows of each task to fit.
        read: Those on which losses are read.
        seed: Seed.
        sampled: Groups beside the pairs.
    """
    models = GroupModels(list(fitted.values()), list(read.values()), seed)
    tasks = len(fitted)
    groups = [*combinations(range(tasks), 2), *sample_groups(tasks, sampled, seed)]
    drops: dict[tuple[int, int], list[Numbers]] = {}
    for group in groups:
        for joins in group:
            others = tuple(task for task in group if task != joins)
            for task in others:
                drops.setdefault((joins, task), []).append(models.drops(others, group, task))
    values, errors = np.zeros((tasks, tasks)), np.zeros((tasks, tasks))
    parts: dict[int, tuple[dict[int, Numbers], Numbers]] = {
        task: ({}, rows.weights) for task, rows in enumerate(models.read)
    }
    for (joins, task), found in drops.items():
        each, weights = np.mean(found, axis=0), models.read[task].weights
        values[joins, task], errors[joins, task] = weights @ each, _error(each, weights)
        parts[task][0][joins] = each
    return Linearised(values, errors, models.ridge / ridge_unit(models.fitted), len(models), parts)


def _error(each: Numbers, weights: Numbers) -> float:
    """Return the standard error of a weighted mean of independent rows."""
    return float(np.sqrt(np.square(weights * (each - weights @ each)).sum()))


class GroupModels:
    """The linear model of each group that is asked for, fitted once.

    Args:
        fitted: The rows of each task to fit.
        read: Those on which losses are read.
        seed: Seed of the folds that choose the ridge.
    """

    def __init__(self, fitted: Sequence[LinearRows], read: Sequence[LinearRows], seed: int):
        self.fitted = fitted
        self.read = read
        self._seed = seed
        self._shifts: dict[tuple[int, ...], Numbers] = {}

    def __len__(self) -> int:
        return len(self._shifts)

    @cached_property
    def ridge(self) -> float:
        """The λ of all groups."""
        return choose_ridge(self.fitted, self._seed)

    def shift(self, group: tuple[int, ...]) -> Numbers:
        """Return how the parameters move for a group, [D].

        Args:
            group: The places of its tasks, ascending.
        """
        if group not in self._shifts:
            self._shifts[group] = fit([self.fitted[task] for task in group], self.ridge)
        return self._shifts[group]

    def drops(self, before: tuple[int, ...], after: tuple[int, ...], task: int) -> Numbers:
        """Return by how much each row's loss is lower in another group, as parts of the task's loss before, [n]."""
        rows = self.read[task]
        losses = rows.losses(self.shift(before))
        loss = float(rows.weights @ losses)
        found = losses - rows.losses(self.shift(after))
        return found / loss if loss > 0 else found


def sample_groups(tasks: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Draw groups of three or four tasks, none twice: so many, or all that there are.

    Args:
        tasks: Number of tasks.
        count: How many groups.
        seed: Seed.
    """
    most = min(LARGEST_SAMPLED, tasks)
    # A hundred tasks have four million groups of four, so that these are drawn and not listed.
    random, found = np.random.default_rng(seed), dict[tuple[int, ...], None]()
    for _ in range(20 * count if most >= 3 else 0):
        size = int(random.integers(3, most + 1))
        found.setdefault(tuple(sorted(random.permutation(tasks)[:size].tolist())))
        if len(found) == count:
            break
    return list(found)
