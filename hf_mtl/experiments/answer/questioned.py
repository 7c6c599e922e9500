"""Scores that are worth little, by what runs noted: every test row was predicted the same, or has the same label."""

import re
from collections.abc import Callable, Sequence

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.trials import Trials
from hf_mtl.experiments.results import Record

_ALL = re.compile(r"\ball (?:[\d,]+ )?(?:rows|words|predictions)\b")
"""In what `Task.sameness` says of every type, beside that something is predicted."""
_PREDICTED = re.compile(r"predicted '(.+)'\.$")
_UNDEFINED = re.compile(r"(\S+ is .+) on the [\d,]+ scored rows: (.+)\.$")
"""What `evaluation.score_notes` makes of a metric that `Task.undefined` finds, and why."""


def constant_predictions(trials: Trials, tasks: Sequence[str]) -> list[str]:
    """Say for which tasks, and in how many runs of each arm, one prediction was made for all test rows.

    Args:
        trials: The trials by arm and unit.
        tasks: The tasks that are compared.

    Returns:
        A sentence for each task.
    """
    notes = []
    for task in tasks:
        counts, said = _counted(trials, task, _is_constant)
        values = dict.fromkeys(value for note in said for value in _PREDICTED.findall(note))
        if counts:
            which = f" ({' or '.join(map(repr, values))})" if values else ""
            notes.append(
                f"{task}: one prediction for all test rows{which} in {counts}: such a score says little "
                "of what was learned."
            )
    return notes


def undefined_metrics(trials: Trials, tasks: Sequence[str]) -> list[str]:
    """Say which metrics the labels of the test rows leave without a meaning: a correlation, where all are the same.

    Args:
        trials: The trials by arm and unit.
        tasks: The tasks that are compared.

    Returns:
        A sentence for each such metric of a task.
    """
    notes = []
    for task in tasks:
        _, said = _counted(trials, task, _UNDEFINED.match)
        found = [match.groups() for note in said if (match := _UNDEFINED.match(note))]
        for what in dict.fromkeys(what for what, _ in found):
            counts, _ = _counted(trials, task, re.compile(re.escape(f"{what} on the ")).match)
            why = "; ".join(dict.fromkeys(why for other, why in found if other == what))
            notes.append(f"{task}: {what} on the test rows ({why}) in {counts}: there it tells no arm from another.")
    return notes


def _counted(trials: Trials, task: str, asked: Callable[[str], object]) -> tuple[str, list[str]]:
    """Count the runs of each arm that noted something of the test rows of a task, and return what they did.

    Older records do not tell whose rows a note is of.
    """
    counts, every = [], []
    for arm, units in trials.items():
        records = [record for trial in units.values() if (record := trial.of(task)) is not None]
        found = [said for record in records if (said := list(filter(asked, _notes(record, task))))]
        every += [note for said in found for note in said]
        if found:
            counts.append(f"{_of_runs(len(found), len(records))} of {arm}")
    return ", ".join(counts), every


def _of_runs(count: int, total: int) -> str:
    every = {1: "the run", 2: "both runs"} if count == total else {}
    return every.get(total, f"{count} of {name_count(total, 'run')}")


def _notes(record: Record, task: str) -> list[str]:
    start = f"{task}: "
    return [str(note).removeprefix(start) for note in record.get("test_notes") or () if str(note).startswith(start)]


def _is_constant(note: str) -> bool:
    return "predict" in note and _ALL.search(note) is not None
