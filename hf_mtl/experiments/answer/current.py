"""The records that are of a study's recipes as they are now."""

from collections.abc import Collection, Sequence
from pathlib import Path

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.trials import FAILED, Unit
from hf_mtl.experiments.results import Record
from hf_mtl.foreign_json import read_object

TRIALS = "trials.json"
"""The identity of each trial of a study as it was last begun, beside its results."""


def identities_in(folder: Path) -> set[str] | None:
    """Read the identities of a study's trials; None: the folder does not tell them.

    Args:
        folder: The study's folder.

    Raises:
        CheckpointError: If the file is damaged; names it.
    """
    path = folder / TRIALS
    return set(map(str, read_object(path).values())) if path.exists() else None


def parts_in(folder: Path) -> dict[str, int]:
    """Count the runs that each seed and fold of an arm is to have; empty: the folder does not tell.

    Args:
        folder: The study's folder.

    Raises:
        CheckpointError: If the file is damaged; names it.
    """
    path = folder / TRIALS
    # Names are ``arm,seed`` and, of a run of some tasks, ``,task``.
    names = [name.split(",") for name in (read_object(path) if path.exists() else {})]
    tasks: dict[str, set[str]] = {}
    for arm, *rest in names:
        tasks.setdefault(arm, set()).add(",".join(rest[1:]))
    return {arm: len(found) for arm, found in tasks.items()}


def current(
    records: Sequence[Record], identities: Collection[str] | None, merging: Collection[str] | None
) -> tuple[list[Record], list[str]]:
    """Leave out runs that are not the study's as it was last begun, and what was made of them.

    Until `compare` ends, which sets them aside, runs of recipes or data that have changed stand beside those that are
    run again. Runs of arms and seeds that it has no longer stay in the file, and so do merged models.

    Args:
        records: The records of a study.
        identities: The identities of its trials; None: not known, and no run is left out.
        merging: The methods by which it merges; None: not known, and none is left out.

    Returns:
        The others, and notes on what was left out.
    """
    kept = list(records) if identities is None else _of_trials(records, identities)
    kept = kept if merging is None else _merged_as_asked(kept, merging)
    left = len(records) - len(kept)
    what = "of recipes or data that have changed since, or of arms, seeds and merging that are not asked for"
    notes = [f"{name_count(left, 'record')} {what} left out."] if left else []
    return kept, notes


def _of_trials(records: Sequence[Record], identities: Collection[str]) -> list[Record]:
    """Leave out runs with other identities, and what was made of them."""
    older = [
        item for item in records if item.get("kind") in ("run", FAILED) and item.get("identity") not in identities
    ]
    gone = {(item["arm"], Unit.of(item)) for item in older}
    merged_of = {Unit.of(item) for item in older if item.get("task") is not None}
    made = [item for item in records if _is_made_of(item, gone, merged_of)]
    left = set(map(id, [*older, *made]))
    return [item for item in records if id(item) not in left]


def _merged_as_asked(records: Sequence[Record], methods: Collection[str]) -> list[Record]:
    """Leave out models that were merged by other methods, and comparisons of their rows.

    An arm that is trained may have the name of such a method now. Its comparisons stand behind its runs.
    """
    kept: list[Record] = []
    merged: set[tuple[str, Unit]] = set()
    for record in records:
        kind = record.get("kind")
        place = (str(record["arm"]), Unit.of(record)) if kind in ("run", "merged", "rows") else None
        if place is not None and kind == "merged" and place[0] not in methods:
            merged.add(place)
        elif place is None or kind != "rows" or place not in merged:
            kept.append(record)
        if place is not None and kind == "run":
            merged.discard(place)
    return kept


def _is_made_of(record: Record, gone: Collection[tuple[str, Unit]], merged_of: Collection[Unit]) -> bool:
    """Tell whether a record was made of runs that are left out: merged, or compared by rows."""
    if record.get("kind") == "merged":
        return Unit.of(record) in merged_of
    if record.get("kind") != "rows":
        return False
    unit = Unit.of(record)
    return unit in merged_of or any((record.get(side), unit) in gone for side in ("arm", "against"))
