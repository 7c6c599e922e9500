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


def current(records: Sequence[Record], identities: Collection[str] | None) -> tuple[list[Record], list[str]]:
    """Leave out runs of recipes that have changed since, and what was made of the runs of the same seed and fold.

    Until `compare` ends, which sets them aside, they stand beside those that are run again.

    Args:
        records: The records of a study.
        identities: The identities of its trials; None: not known, and nothing is left out.

    Returns:
        The others, and notes on what was left out.
    """
    if identities is None:
        return list(records), []
    older = [
        item for item in records if item.get("kind") in ("run", FAILED) and item.get("identity") not in identities
    ]
    units = {Unit.of(item) for item in older}
    made = [item for item in records if item.get("kind") in ("merged", "rows") and Unit.of(item) in units]
    gone = set(map(id, [*older, *made]))
    kept = [item for item in records if id(item) not in gone]
    notes = [f"{name_count(len(gone), 'record')} of recipes that have changed since left out."] if gone else []
    return kept, notes
