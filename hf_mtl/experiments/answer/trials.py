"""The finished runs of a study by arm and seed: the runs of single tasks of one seed are one trial."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.results import Record

FAILED = "failed"
_RUNS = ("run", "merged", FAILED)


class Unit(NamedTuple):
    """What is repeated.

    Args:
        seed: The seed.
        fold: The fold; -1: there are none.
    """

    seed: int
    fold: int = -1

    @property
    def name(self) -> str:
        """Name it in a sentence."""
        return f"seed {self.seed}" if self.fold < 0 else f"seed {self.seed}, fold {self.fold}"

    @classmethod
    def of(cls, record: Record) -> "Unit":
        """Return that of a record."""
        fold = record.get("fold")
        return cls(int(record["seed"]), -1 if fold is None else int(fold))


@dataclass(frozen=True)
class Trial:
    """One arm with one seed.

    Args:
        records: Its finished runs: one, or one for each task.
    """

    records: tuple[Record, ...]

    def of(self, task: str) -> Record | None:
        """Return the run that has a task; None: there is none."""
        own = [record for record in self.records if task in group_of(record)]
        joint = [record for record in self.records if record.get("task") is None]
        return next(iter([*own, *joint]), None)

    def value(self, key: str, task: str) -> Any:
        """Return what the run of a task says of it under a key; None: nothing."""
        record = self.of(task)
        return None if record is None else (record.get(key) or {}).get(task)

    def score(self, task: str, split: str = "test") -> float | None:
        """Return the score of a task.

        NaN where the run has none, as after it diverged; None where the task, or such rows of it, are not in the run.

        Args:
            task: The task.
            split: ``test`` or ``validation``.
        """
        record = self.of(task)
        scores = None if record is None else (record.get("scores") or {}).get(split)
        if scores is None or task not in scores:
            is_its_own = record is not None and task in group_of(record) and not lacks(record, task, split)
            return math.nan if is_its_own or (record is not None and scores is None) else None
        return math.nan if scores[task] is None else float(scores[task])

    def metrics(self, task: str, split: str = "test") -> dict[str, float]:
        """Return the metrics of a task, NaN where undefined."""
        record = self.of(task)
        found = {} if record is None else ((record.get(split) or {}).get(task) or {})
        return {key: math.nan if value is None else float(value) for key, value in found.items()}

    def total(self, key: str) -> float:
        """Return the sum of a cost over the trial's runs; NaN if any does not say."""
        values = [record.get(key) for record in self.records]
        return math.nan if None in values else float(sum(value or 0 for value in values))

    @property
    def is_whole(self) -> bool:
        """Tell whether none of its runs has failed."""
        return all(record["kind"] != FAILED for record in self.records)

    @property
    def tasks(self) -> Iterator[str]:
        """The tasks that are scored."""
        for record in self.records:
            if record.get("task") is not None:
                yield from group_of(record)
            else:
                yield from (record.get("scores") or {}).get("test") or {}


def group_of(record: Record) -> list[str]:
    """Return the tasks that a run is of, if it is not of all: a group's names have a plus sign between them.

    Args:
        record: The record of the run.
    """
    task = record.get("task")
    return [] if task is None else str(task).split("+")


def lacks(record: Record, task: str, split: str) -> bool:
    """Tell whether a run is known to have had no rows of a task in a split.

    Args:
        record: The record of the run; those of runs that failed do not tell.
        task: The task.
        split: The split.
    """
    rows = (record.get("rows") or {}).get(task) or {}
    return bool(rows) and not rows.get(split)


Trials = Mapping[str, Mapping[Unit, Trial]]
"""Trials by arm and unit."""


def trials_of(records: Sequence[Record], question: Question) -> tuple[dict[str, dict[Unit, Trial]], list[str]]:
    """Sort the runs of a study that have ended; of records of the same run the last counts.

    A run that has diverged, and would again, is a run without scores: left out it would flatter its arm.

    Args:
        records: The records.
        question: What the study asks; other arms, seeds and folds are left out.

    Returns:
        The trials by arm and unit, and notes on what was left out.
    """
    runs = [record for record in records if record.get("kind") in _RUNS]
    asked = runs_asked(records, question)
    latest = latest_of(asked)
    ended = [sum(record["kind"] != FAILED for record in some) for some in (asked, latest.values())]
    replaced, strange = ended[0] - ended[1], len(runs) - len(asked)
    found: dict[str, dict[Unit, list[Record]]] = {}
    notes = []
    for (arm, unit, task), record in latest.items():
        if record["kind"] == FAILED:
            of = "" if task is None else f", {task}"
            notes.append(f"{arm}, {unit.name}{of}: the run failed. {record.get('reason', '')}".rstrip())
        if record["kind"] != FAILED or record.get("final"):
            found.setdefault(arm, {}).setdefault(unit, []).append(record)
    if replaced:
        are = f"{name_count(replaced, 'earlier record')} of the same runs {'is' if replaced == 1 else 'are'}"
        notes.append(f"{are} left out: the last of each counts.")
    if strange:
        are = f"{name_count(strange, 'record')} of arms, seeds or folds that the study does not name"
        notes.append(f"{are} {'is' if strange == 1 else 'are'} left out.")
    trials = {arm: {unit: Trial(tuple(units[unit])) for unit in sorted(units)} for arm, units in found.items()}
    return trials, notes


def latest_of(records: Sequence[Record]) -> dict[tuple[str, Unit, str | None], Record]:
    """Return the last record of each run, by arm, unit and task.

    Args:
        records: Records of runs.
    """
    return {(str(record["arm"]), Unit.of(record), record.get("task")): record for record in records}


def runs_asked(records: Sequence[Record], question: Question) -> list[Record]:
    """Return the records of runs that a study asks for, also of those that failed.

    Args:
        records: The records.
        question: What the study asks.
    """
    return [record for record in records if record.get("kind") in _RUNS and _is_asked(record, question)]


def _is_asked(record: Record, question: Question) -> bool:
    """Tell whether a study asks for a run."""
    folds, unit = range(question.folds) if question.folds else (-1,), Unit.of(record)
    return str(record["arm"]) in question.arms and unit.seed in question.seeds and unit.fold in folds


def tasks_of(trials: Trials) -> list[str]:
    """Name the tasks of a study, those of joint runs in their order first.

    Args:
        trials: The trials by arm and unit.
    """
    every = [trial for units in trials.values() for trial in units.values()]
    joint = sorted(every, key=lambda trial: len(trial.records))  # stable: one run for all tasks first
    return list(dict.fromkeys(task for trial in joint for task in trial.tasks))


def untested(trials: Trials) -> list[str]:
    """Name the tasks of which no run had test rows, as far as runs tell.

    Args:
        trials: The trials by arm and unit.
    """
    records = [record for units in trials.values() for trial in units.values() for record in trial.records]
    known: dict[str, list[Record]] = {}
    for record in records:
        for task, rows in (record.get("rows") or {}).items():
            if rows:
                known.setdefault(task, []).append(record)
    return [task for task, found in known.items() if all(lacks(record, task, "test") for record in found)]


def is_untrained(task: str, units: Mapping[Unit, Trial]) -> bool:
    """Tell whether an arm's runs are of several tasks without this one: it is not only missing.

    Args:
        task: The task.
        units: The arm's trials.
    """
    joint = [trial for trial in units.values() if trial.of(task) is not None]
    return bool(joint) and all(trial.score(task) is None for trial in joint)


def is_single(units: Mapping[Unit, Trial]) -> bool:
    """Tell whether an arm's runs are of one task each."""
    records = [record for trial in units.values() for record in trial.records]
    return bool(records) and all(len(group_of(record)) == 1 for record in records)


def label_of(arm: str, units: Mapping[Unit, Trial]) -> str:
    """Name an arm for people: one that was merged is told from a mean of arms, as ``average`` would read.

    Args:
        arm: The arm.
        units: Its trials.
    """
    return f"{arm} (merged)" if is_merged(units) else arm


def is_merged(units: Mapping[Unit, Trial]) -> bool:
    """Tell whether an arm was made of the runs of others."""
    return any(record.get("kind") == "merged" for trial in units.values() for record in trial.records)
