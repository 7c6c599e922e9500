"""The records of merged models among those of a study: contenders that cost no training of their own."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mtl.errors import UserError
from hf_mtl.experiments.identity import digest
from hf_mtl.experiments.merging.merge import RECORD, merge_parts
from hf_mtl.experiments.merging.parts import Parts
from hf_mtl.experiments.results import Record
from hf_mtl.foreign_json import read_object
from hf_mtl.progress import no_bars

_ADDED = ("steps", "flops", "backward_passes", "seconds")
_BY_TASK = ("rows", "passes", "train_losses")


def merged_records(
    study: Path,
    folders: Mapping[str, Path],
    records: Mapping[str, Record],
    methods: Sequence[str],
    *,
    allow_code: bool = False,
) -> Iterator[Record]:
    """Merge the single-task runs of one seed by some methods, and yield a record of each.

    A merged model lies where the run of an arm with the method's name would: ``runs/<method>/seed-0`` of the study,
    with ``-fold-1`` behind it where the runs are of a fold. One that is there already of the same runs is not made
    again; one of other runs is replaced. Steps, operations and seconds are those of the runs together, as a merged
    model has cost what they have.

    Args:
        study: The study's folder.
        folders: The folder of each task's run.
        records: The record of each task's run.
        methods: The methods, see `merge`.
        allow_code: Whether code that the runs' recipes name may be run.

    Raises:
        UserError: If the runs cannot be merged; says why.
    """
    parts: Parts | None = None
    first = next(iter(records.values()))
    for method in methods:
        known = {**_known(study, folders, records), "identity": merged_identity(method, records)}
        place = merged_folder(study, {**first, "arm": method})
        found = _record_of(place)
        if found is None or found["identity"] != known["identity"] or found["identity"] is None:
            with no_bars():
                parts = Parts.open(folders, allow_code) if parts is None else parts
                if found is not None:
                    shutil.rmtree(place)
                found = merge_parts(parts, method, place, known)
        yield found


def merged_folder(study: Path, record: Record) -> Path:
    """Return the folder of a merged model.

    Args:
        study: The study's folder.
        record: The model's record, of which its method (``arm``), seed and fold are read.
    """
    fold = record.get("fold")
    name = f"seed-{record['seed']}" if fold is None else f"seed-{record['seed']}-fold-{fold}"
    return study / "runs" / str(record["arm"]) / name


def merged_in(folder: Path) -> str | None:
    """Return the identity of the merged model in a folder; None: there is none, or its runs were not known.

    Args:
        folder: The folder.
    """
    found = (_record_of(folder) or {}).get("identity")
    return None if found is None else str(found)


def _record_of(place: Path) -> Record | None:
    """Read the record of a merged model; None where there is no whole one."""
    try:
        return read_object(place / RECORD)
    except (UserError, OSError):
        return None


def merged_identity(method: str, records: Mapping[str, Record]) -> str | None:
    """Tell what a merged model is made of; None where that is not known of a run.

    Args:
        method: The method.
        records: The record of each task's run.
    """
    each = {task: record.get("identity") for task, record in records.items()}
    if None in each.values():
        return None
    return digest([method, each])


def _known(study: Path, folders: Mapping[str, Path], records: Mapping[str, Record]) -> dict[str, Any]:
    """Put together what the records of the runs say of all of them."""
    first = next(iter(records.values()))
    each = list(records.values())
    return {
        "seed": first["seed"],
        "task": None,
        "fold": first.get("fold"),
        **{name: _sum([record.get(name) for record in each]) for name in _ADDED},
        **{name: _union([record.get(name) for record in each]) for name in _BY_TASK},
        "step": None,
        "ended_by": None,
        "curve": [],
        "cosines": None,
        "conflict_rate": None,
        "contamination": _union([record.get("contamination") for record in each]),
        "baselines": None,
        "parts": [_relative(folder, study) for folder in folders.values()],
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _union(values: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    return {task: value for found in known for task, value in found.items()} if len(known) == len(values) else None


def _relative(folder: Path, study: Path) -> str:
    inside = folder.resolve().is_relative_to(study.resolve())
    return str(folder.resolve().relative_to(study.resolve()) if inside else folder)
