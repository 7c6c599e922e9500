"""All sources of a task, filtered and concatenated per split."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Value, concatenate_datasets
from numpy.typing import NDArray

from hf_mtl.data.backslashes import escaped_marks
from hf_mtl.data.column_steps import changes_values, make_columns, rename_columns
from hf_mtl.data.columns import arrow_column, collect, is_text, name_count, raise_all, with_fields
from hf_mtl.data.csv_source import Loaded
from hf_mtl.data.filters import filter_list, filtered_rows
from hf_mtl.data.lines import FileRows, with_lines
from hf_mtl.data.mapped_values import replaced
from hf_mtl.data.sources import load_source
from hf_mtl.data.spelling import dtype_mistakes, read_declared, read_numbers
from hf_mtl.data.split_names import SPLITS
from hf_mtl.data.swallowed import swallowed_rows
from hf_mtl.data.texts import missing_columns, needed_columns, repeated_names
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource, Task
from hf_mtl.tasks.templates import template_columns


@dataclass(frozen=True)
class Gathered:
    """The splits of a task with only the columns it reads, and what was left out on the way.

    Args:
        splits: Rows per split.
        notes: What the user should know.
        renumbered: Whether row numbers differ from those of a file.
        parts: What each split is put together from.
    """

    splits: dict[str, Dataset]
    notes: list[str] = field(default_factory=list)
    renumbered: bool = False
    parts: dict[str, list[FileRows]] = field(default_factory=dict)


def gather_splits(name: str, task: Task) -> Gathered:
    """Load every source of a task.

    Raises:
        DataError: If sources cannot be loaded, lack columns, or do not fit together: all of it at once.
    """
    key = f"tasks.{name}.dataset"
    if task.dataset is None:
        raise DataError(Mistake(key, "no dataset", "Say where the rows come from: {path: ...}."))
    single = isinstance(task.dataset, DatasetSource)
    sources = [task.dataset] if isinstance(task.dataset, DatasetSource) else list(task.dataset)
    if not sources:
        raise DataError(Mistake(key, "an empty list of datasets", "Give at least one."))
    parts: dict[str, list[Dataset]] = {}
    written: dict[str, list[FileRows]] = {}
    renumbered = len(sources) > 1
    notes: list[str] = []
    mistakes: list[Mistake] = []
    for index, source in enumerate(sources):
        with collect(mistakes):
            loaded = _Loading(source, name, task, key if single else f"{key}.{index}").gather()
            notes.extend(loaded.notes)
            renumbered |= loaded.renumbered
            for split, dataset in loaded.splits.items():
                parts.setdefault(split, []).append(dataset)
                written.setdefault(split, []).extend(loaded.parts[split])
    splits = {}
    for split in SPLITS:
        if split in parts:
            with collect(mistakes):
                splits[split] = concatenated(parts[split], split, key)
    raise_all(mistakes)
    return Gathered(splits, notes, renumbered, written)


@dataclass
class _Loading:
    """One source on its way from its files to the columns that a task reads.

    Args:
        source: The source.
        name: The task's name.
        task: The task.
        key: Recipe key of the source.
        notes: What the user should know.
        mistakes: What is wrong with the rows of the files.
    """

    source: DatasetSource
    name: str
    task: Task
    key: str
    notes: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def gather(self) -> Gathered:
        """Load the source: columns renamed, rows filtered, values mapped and made, in this order."""
        found = load_source(self.source, self.key)
        self.notes += [f"{self.name}: {note}" for note in found.notes]
        splits = {split: with_fields(part, self._named()) for split, part in found.splits.items()}
        splits = rename_columns(splits, self.source, self.key)
        if not changes_values(self.source):  # else a column that is not there may be one that is to be made
            splits = self._readable(splits, self.mistakes)
        typed = self._typed(splits, found) if found.spelled else splits
        kept = {split: self._filter(part, split) for split, part in typed.items()}
        raise_all(self.mistakes)
        parts = {
            split: [FileRows(len(typed[split]), self.source, found.files.get(split, []), rows)]
            for split, rows in kept.items()
        }
        dropped = any(len(rows) < len(typed[split]) for split, rows in kept.items())
        typed = {split: _selected(typed[split], rows) for split, rows in kept.items()}
        if changes_values(self.source):
            spelled = (
                {split: _selected(splits[split], rows) for split, rows in kept.items()} if found.spelled else None
            )
            typed, parts = self._made(typed, spelled, parts)
            typed = self._readable(typed, self.mistakes)
            raise_all(self.mistakes)
        needed = {split: part.select_columns(needed_columns(self.task, part)) for split, part in typed.items()}
        return Gathered(needed, self.notes, dropped or self.source.function is not None, parts)

    def _named(self) -> list[str]:
        """Return the columns that are named anywhere, some of which may be fields of others."""
        source, task = self.source, self.task
        filtered = [item.column for item in filter_list(source.filter)]
        weights = [] if task.weight is None else [task.weight]
        joined = [column for template in source.concat.values() for column in template_columns(template)]
        return [*task.text_columns, *task.label_columns, *weights, *filtered, *source.rename, *source.map, *joined]

    def _readable(self, splits: Mapping[str, Dataset], mistakes: list[Mistake]) -> dict[str, Dataset]:
        """Leave out a test split without any label column, and look for columns that are not there."""
        splits = dict(splits)
        if "test" in splits and not any(name in splits["test"].column_names for name in self.task.label_columns):
            del splits["test"]
            self.notes.append(f"{self.name}: test has no label column and cannot be scored; it is left out.")
        mistakes.extend(missing_columns(self.task, self.name, splits))
        return splits

    def _typed(self, splits: dict[str, Dataset], found: Loaded) -> dict[str, Dataset]:
        """Read the numbers of a file without types, after a look at how it is written."""
        of_files = {split: found.splits[split] for split in splits}
        self.mistakes += repeated_names(self.task, self.name, splits)
        self.notes += swallowed_rows(self.name, of_files, self.source, found.files)
        self.notes += escaped_marks(self.name, of_files, self.source, found.files)
        if wrong := list(dtype_mistakes(splits, self.task, self.source, self.key)):
            raise_all([*self.mistakes, *wrong])  # a filter would compare with what the column is not
        return read_numbers(splits, self.task, self.source)

    def _filter(self, part: Dataset, split: str) -> NDArray[np.int64]:
        """Return the places of the rows that the filter keeps."""
        rows = np.arange(len(part))
        with collect(self.mistakes):
            rows = filtered_rows(part, self.source.filter, f"{self.key}.filter")
        count = name_count(len(part), f"{split} row")
        if len(rows) < len(part):
            self.notes.append(f"{self.name}: the filter keeps {len(rows):,} of {count}.")
        if len(part) and not len(rows):
            columns = ", ".join(sorted({item.column for item in filter_list(self.source.filter)}))
            self.mistakes.append(Mistake(f"{self.key}.filter", f"the filter on {columns} keeps none of {count}"))
        return rows

    def _made(
        self, typed: dict[str, Dataset], spelled: dict[str, Dataset] | None, parts: dict[str, list[FileRows]]
    ) -> tuple[dict[str, Dataset], dict[str, list[FileRows]]]:
        """Map, concatenate and call the function; of a file without types with the values as they are spelled.

        Args:
            typed: The rows, with numbers where the task or the filter reads them.
            spelled: The same rows as they are spelled; None: their file has types.
            parts: What each split is put together from.
        """
        source, task = self.source, self.task
        given = typed if spelled is None else read_declared(spelled, source)
        try:
            made = make_columns(given, source, self.name, self.key)
        except DataError as error:
            raise DataError(with_lines(item, parts) for item in error.mistakes) from error
        self.notes += made.notes
        splits = made.splits
        if spelled is not None and source.function is not None:
            # What the function gives as text is read as the texts of the file are; labels of a map are settled.
            settled = {*source.map, *source.concat, *(source.rename.get(name, name) for name in source.dtype)}
            unfiltered = source.model_copy(update={"filter": None, "dtype": {}})
            splits = read_numbers(splits, task, unfiltered, settled)
        elif spelled is not None:
            new = {*source.map, *source.concat}
            splits = {split: _with_types(part, typed[split], new) for split, part in splits.items()}
        for split, origins in made.origins.items():
            parts[split] = [replace(part, rows=part.rows[origins]) for part in parts[split]]
        return splits, parts


def _selected(part: Dataset, rows: NDArray[np.int64]) -> Dataset:
    return part if len(rows) == len(part) else part.select(rows)


def _with_types(part: Dataset, typed: Dataset, new: Collection[str]) -> Dataset:
    """Take the columns that have another type from a dataset of the same rows, but for those that are new here."""
    for column in typed.column_names:
        if column not in new and part.features[column] != typed.features[column]:
            part = replaced(part, column, arrow_column(typed, column))
    return part


def concatenated(parts: list[Dataset], split: str, key: str) -> Dataset:
    """Put parts of one split together.

    Args:
        parts: The parts, at least one.
        split: The split's name, for messages.
        key: Recipe key of the dataset.

    Raises:
        DataError: If their columns are not the same, or of other kinds.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    aligned, mistakes = [first], []
    for index, part in enumerate(parts[1:], start=1):
        # Columns that only one of them has too: the rows of the other would be filled up with nothing.
        for column in dict.fromkeys([*first.features, *part.features]):
            feature, other = first.features.get(column), part.features.get(column)
            if feature is None or other is None or not _same_kind(feature, other):
                found = f"{split} column '{column}' holds {other} here and {feature} in the first dataset"
                mistakes.append(Mistake(f"{key}.{index}", found, "Datasets of one task need the same columns."))
            elif other != feature:
                part = part.cast_column(column, feature)
        aligned.append(part)
    raise_all(mistakes)
    return concatenate_datasets(aligned)


def _same_kind(first: object, other: object) -> bool:
    """Tell whether a cast between two features keeps every value: strings, integers or floats of any width."""
    if first == other:
        return True
    if isinstance(first, ClassLabel) or isinstance(other, ClassLabel):
        return False
    if not (isinstance(first, Value) and isinstance(other, Value)):
        return False
    kinds = (is_text, pa.types.is_integer, pa.types.is_floating)
    return any(kind(first.pa_type) and kind(other.pa_type) for kind in kinds)
