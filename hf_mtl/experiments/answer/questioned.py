"""Scores that are worth little, by what runs noted: every test row was predicted the same."""

import re
from collections.abc import Sequence

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.trials import Trials
from hf_mtl.experiments.results import Record

_ALL = re.compile(r"\ball (?:[\d,]+ )?(?:rows|words|predictions)\b")
"""In what `Task.sameness` says of every type, beside that something is predicted."""
_PREDICTED = re.compile(r"predicted '(.+)'\.$")


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
        counts: list[str] = []
        values: dict[str, None] = {}
        for arm, units in trials.items():
            records = [record for trial in units.values() if (record := trial.of(task)) is not None]
            found = [said for record in records if (said := _constant(record, task))]
            values |= dict.fromkeys(value for said in found for value in _PREDICTED.findall(said[-1]))
            if found:
                counts.append(f"{_of_runs(len(found), len(records))} of {arm}")
        if counts:
            which = f" ({' or '.join(map(repr, values))})" if values else ""
            notes.append(
                f"{task}: one prediction for all test rows{which} in {', '.join(counts)}: such a score says little "
                "of what was learned."
            )
    return notes


def _of_runs(count: int, total: int) -> str:
    every = {1: "the run", 2: "both runs"} if count == total else {}
    return every.get(total, f"{count} of {name_count(total, 'run')}")


def _constant(record: Record, task: str) -> list[str]:
    """Return what a run noted of predictions of test rows that are all the same; older records do not tell."""
    said = [str(note) for note in record.get("test_notes") or () if str(note).startswith(f"{task}: ")]
    return [note for note in said if "predict" in note and _ALL.search(note)]
