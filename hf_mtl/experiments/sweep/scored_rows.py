"""Which rows of a task are scored, as far as its recipe tells: where splits are named, those of train are not."""

from typing import Any

from hf_mtl.data.readers import READERS
from hf_mtl.data.split_names import name_splits
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, Task

_SCORED = ("validation", "test")


def is_carved(task: Task, folded: bool) -> bool:
    """Tell whether rows to score may come out of train; they do where nothing says that a split is there.

    A test split that is there may have no labels. So one that has a fraction too may be carved.

    Args:
        task: The task.
        folded: Whether all its rows are dealt out in folds.
    """
    if folded:
        return task.validation_fraction > 0 or bool(task.test_fraction)
    named = {split for source in _sources(task) for split in _named(source)}
    return bool(task.test_fraction) or (task.validation_fraction > 0 and "validation" not in named)


def scored_part(task: Task) -> Any:
    """Return the dataset of a task that is not carved, in plain values, without what is of its train split alone.

    Args:
        task: The task.
    """
    return [_without_train(source) for source in _sources(task) if not _only_trains(source)]


def _without_train(source: DatasetSource) -> dict[str, Any]:
    """Return a source without the files of its train split; those of others under our names."""
    plain = source.model_dump(mode="json")
    if not isinstance(source.data_files, dict):
        return plain
    names = {ours: theirs for ours, theirs in _named(source).items() if ours in _SCORED}
    files = {ours: source.data_files[theirs] for ours, theirs in names.items() if theirs in source.data_files}
    return {**plain, "data_files": files, "splits": {}} if len(files) == len(names) else plain


def _only_trains(source: DatasetSource) -> bool:
    """Tell whether a source is files of a format of which none is scored."""
    return source.path in READERS and source.data_files is not None and not _named(source).keys() & set(_SCORED)


def _sources(task: Task) -> list[DatasetSource]:
    given = task.dataset
    return [] if given is None else [given] if isinstance(given, DatasetSource) else list(given)


def _named(source: DatasetSource) -> dict[str, str]:
    """Return the splits that a source surely has, its names by ours."""
    if not isinstance(source.data_files, dict):
        return {str(ours): theirs for ours, theirs in source.splits.items() if theirs is not None}
    try:
        return name_splits(source, source.data_files, "dataset")
    except DataError:  # which loading it will say
        return {}
