"""Scores that are worth little, by what runs noted: every test row was predicted the same."""

import re
from collections.abc import Sequence

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.trials import Trials
from hf_mtl.experiments.results import Record

_ALL = re.compile(r"\ball (?:([\d,]+) )?(rows|words|predictions)\b")
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
                counts.append(f"{len(found)} of {name_count(len(records), 'run')} of {arm}")
        if counts:
            which = f" ({' or '.join(map(repr, values))})" if values else ""
            notes.append(
                f"{task}: one prediction for all test rows{which} in {', '.join(counts)}: such a score says little "
                "of what was learned."
            )
    return notes


def _constant(record: Record, task: str) -> list[str]:
    """Return what a run noted of predictions that are all the same, but for those of validation rows alone."""
    said = [str(note) for note in record.get("notes") or () if str(note).startswith(f"{task}: ")]
    found = [(note, _ALL.search(note)) for note in said if "predict" in note]
    return [note for note, match in found if match is not None and _is_test(match, record, task)]


def _is_test(found: re.Match[str], record: Record, task: str) -> bool:
    """Tell whether a note may be of test rows: not where it counts the rows that were validation, and others."""
    if found[1] is None or found[2] == "words":
        return True
    rows = (record.get("rows") or {}).get(task) or {}
    count = int(found[1].replace(",", ""))
    return count != rows.get("validation") or count == rows.get("test")
