"""Rows to score that some task trains on: said, refused, or taken out of training, as ``data.contamination`` says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.columns import name_count, raise_all
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.overlap import ComparedRows, find_overlaps, overlap_notes
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.section import Contamination
from hf_mtl.errors import Mistake
from hf_mtl.tasks import DatasetSource, Task

KEY = "data.contamination"


@dataclass(frozen=True)
class Settled:
    """Rows after they were compared.

    Args:
        overlaps: The rows to score that stand in training rows.
        kept: The training rows that stay, by index, of each task that loses any.
    """

    overlaps: tuple[Overlap, ...] = ()
    kept: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def settle(
    train: Mapping[str, ComparedRows], scored: Mapping[tuple[str, str], ComparedRows], contamination: Contamination
) -> Settled:
    """Compare the rows to score with the training rows of every task. A row to score is never taken out.

    Args:
        train: The training rows by task.
        scored: The rows to score by task and split.
        contamination: What is done about rows that are both.

    Raises:
        DataError: If there are any and they are refused, or if no training row of a task would be left.
    """
    if contamination == "off":
        return Settled()
    overlaps, standing = find_overlaps(train, scored)
    if contamination == "error":
        raise_all([_refused(note) for note in overlap_notes(overlaps)])
    if contamination != "drop":
        return Settled(tuple(overlaps))
    raise_all([_emptied(name, mask) for name, mask in standing.items() if mask.all()])
    kept = {name: np.flatnonzero(~mask) for name, mask in standing.items()}
    return Settled(tuple(replace(item, dropped=True) for item in overlaps), kept)


def _refused(note: str) -> Mistake:
    remedy = "Set it to drop, which takes these out of training, or to warn"
    return Mistake(KEY, f"is 'error', and {note.rstrip('.')}", remedy)


def _emptied(name: str, standing: NDArray[np.bool_]) -> Mistake:
    count = name_count(len(standing), "training row")
    problem = f"is 'drop', and rows to score stand in all of the {count} of {name}"
    return Mistake(KEY, problem, f"Give {name} other training rows, or set it to warn")


# ---- Tasks that are loaded ----


def settle_loaded(loaded: Mapping[str, LoadedTask], contamination: Contamination) -> dict[str, LoadedTask]:
    """Compare the splits of loaded tasks.

    Returns:
        The tasks, each with what was found of its rows to score, and without training rows that were taken out.

    Raises:
        DataError: As `settle` does; and where two tasks carve different shares from the same rows: then one holds
            out what the other trains on.
    """
    compared = {
        (name, split): ComparedRows.of(item.task, item.splits[split], keys)
        for name, item in loaded.items()
        for split, keys in item.keys.items()
    }
    train = {name: rows for (name, split), rows in compared.items() if split == "train"}
    scored = {place: rows for place, rows in compared.items() if place[1] != "train"}
    raise_all(list(_different_shares(loaded, train, scored)))
    settled = settle(train, scored, contamination)
    found = {**loaded, **{name: loaded[name].with_train_rows(rows) for name, rows in settled.kept.items()}}
    return {
        name: replace(item, overlaps=tuple(each for each in settled.overlaps if each.task == name))
        for name, item in found.items()
    }


def settle_beside(
    loaded: Mapping[str, LoadedTask], beside: Mapping[str, LoadedTask], contamination: Contamination
) -> dict[str, LoadedTask]:
    """Compare the splits of loaded tasks, and take out what would be taken out beside others.

    Args:
        loaded: The tasks.
        beside: Others, which are not trained. Of their training rows nothing is said.
        contamination: What is done about rows that are both trained on and scored.

    Returns:
        As `settle_loaded`, of ``loaded``.

    Raises:
        DataError: As `settle_loaded` does.
    """
    settled = settle_loaded({**beside, **loaded}, contamination)
    found: dict[str, LoadedTask] = {}
    for name in loaded:
        item = settled[name]
        others = [each for other in beside if other not in loaded for each in settled[other].overlaps]
        notes = [_taken_out(each) for each in others if each.trained == name]
        own = tuple(each for each in item.overlaps if each.trained in loaded)
        found[name] = replace(item, overlaps=own, notes=[*item.notes, *notes])
    return found


def _taken_out(overlap: Overlap) -> str:
    count = name_count(overlap.trained_rows, "training row")
    verbs = ("stands", "was") if overlap.trained_rows == 1 else ("stand", "were")
    where = f"in {overlap.split} rows of {overlap.task}, which is not trained here"
    return f"{overlap.trained}: {count} {verbs[0]} {where}, and {verbs[1]} taken out."


def _different_shares(
    loaded: Mapping[str, LoadedTask],
    train: Mapping[str, ComparedRows],
    scored: Mapping[tuple[str, str], ComparedRows],
) -> Iterator[Mistake]:
    """Find tasks that hold out other shares of the same rows."""
    for name, item in loaded.items():
        for split in item.carved:
            key, task = f"{split}_fraction", item.task
            for other, rows in train.items():
                theirs = loaded[other].task
                shares = getattr(task, key), getattr(theirs, key)
                if shares[0] == shares[1] or not _same_source(task, theirs):
                    continue
                count = int(scored[name, split].standing_in(rows).sum())
                if count:
                    problem = (
                        f"is {_shown(shares[0])}, and {_shown(shares[1])} for {other}, which reads the same data: "
                        f"{count:,} {split} texts of {name} are training texts of {other}"
                    )
                    yield Mistake(f"tasks.{name}.{key}", problem, f"Give both the same {key}.")


def _shown(share: float | None) -> str:
    return "not set" if share is None else f"{share:g}"


def _same_source(task: Task, other: Task) -> bool:
    """Tell whether two tasks read the same files somewhere."""
    return any(source in _sources(other) for source in _sources(task))


def _sources(task: Task) -> list[DatasetSource]:
    """Return the sources of a task without what makes the same files look different."""
    given = task.dataset if isinstance(task.dataset, list) else [task.dataset]
    plain: dict[str, object] = {"filter": None, "splits": {}, "rename": {}, "map": {}, "concat": {}, "function": None}
    return [source.model_copy(update=plain) for source in given if source is not None]
