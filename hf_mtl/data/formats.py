"""Datasets as users hold them: in a format, under a transform, or of another library; and their rows as stored."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import DataError, Mistake, one_line
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_MADE_FROM: tuple[tuple[type, str], ...] = (
    (
        IterableDataset,
        "Dataset.from_generator(lambda: iter(data)), or of a part of it: Dataset.from_list([*data.take(n)])",
    ),
    (list, "Dataset.from_list(data)"),
    (Mapping, "Dataset.from_dict(data)"),
)


def plain_rows(dataset: Dataset, name: str, split: str) -> Dataset:
    """Return the rows without a format, which only says what they come as; under a transform, as it gives them.

    A transform is called once for every row. What it draws at random is therefore the same in every epoch, as the
    plan of a run needs it: it knows its rows before the first step.

    Args:
        dataset: The rows.
        name: The task's name.
        split: What they are for.

    Raises:
        DataError: If the transform fails, or makes more or fewer rows.
    """
    kind = dataset.format["type"]
    if kind is None:
        return dataset
    stored = dataset.with_format(None)
    if kind != "custom":
        return stored
    if split == "train" and is_main_process():
        logger.warning(f"{name}: the transform of the {split} data is called once, not anew in every epoch.")
    try:
        made = stored.map(
            lambda _, rows: dataset[rows],
            batched=True,
            with_indices=True,
            remove_columns=stored.column_names,
            keep_in_memory=True,
            load_from_cache_file=False,  # it may draw at random
        )
    except Exception as error:  # whatever the user's code may raise
        found = f"the transform of the {split} data fails with {type(error).__name__}: {one_line(error)}"
        raise DataError(
            Mistake(f"tasks.{name}", found, "Mend it, or take it off with data.with_format(None)")
        ) from error
    if len(made) != len(dataset):
        found = f"the transform of the {split} data makes {len(made):,} rows of {len(dataset):,}"
        raise DataError(Mistake(f"tasks.{name}", found, "Give one for each, or use data.map"))
    return _with_class_names(made, stored)


def _with_class_names(made: Dataset, stored: Dataset) -> Dataset:
    """Give class ids that have come through a transform the names that they had."""
    for column, feature in stored.features.items():
        kind = made.features.arrow_schema.field(column).type if column in made.column_names else pa.null()
        if isinstance(feature, ClassLabel) and pa.types.is_integer(kind):
            made = made.cast_column(column, feature)
    return made


def no_dataset(found: Any, name: str, split: str) -> Mistake:
    """Say how to make a Dataset of what was given in place of one.

    Args:
        found: What was given.
        name: The task's name.
        split: What it is for.
    """
    problem, remedy = f"the {split} data is a {type(found).__name__}", "Give a datasets.Dataset"
    if isinstance(found, DatasetDict | IterableDatasetDict):
        return Mistake(f"tasks.{name}", problem, f"Give one of its splits: {', '.join(map(str, found))}")
    way = next((way for kind, way in _MADE_FROM if isinstance(found, kind)), "")
    if type(found).__name__ == "DataFrame":
        way = "Dataset.from_pandas(data)"
    elif not way and hasattr(found, "__getitem__") and hasattr(found, "__len__") and not isinstance(found, str):
        way = "Dataset.from_list([data[row] for row in range(len(data))])"
    planned = "Steps are planned over all rows before the first. " if isinstance(found, IterableDataset) else ""
    return Mistake(f"tasks.{name}", problem, f"{planned}{remedy}{': ' if way else ''}{way}")
