"""All sources of a task, filtered and concatenated per split."""

from dataclasses import dataclass, field

import pyarrow as pa
from datasets import ClassLabel, Dataset, Value, concatenate_datasets

from hf_mtl.data.backslashes import escaped_marks
from hf_mtl.data.columns import collect, is_text, name_count, raise_all, with_fields
from hf_mtl.data.filters import filter_list, filter_rows
from hf_mtl.data.lines import FileRows
from hf_mtl.data.sources import load_source
from hf_mtl.data.spelling import dtype_mistakes, read_numbers
from hf_mtl.data.split_names import SPLITS
from hf_mtl.data.swallowed import swallowed_rows
from hf_mtl.data.texts import missing_columns, needed_columns, repeated_names
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import DatasetSource, Task


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
            loaded = _load(source, name, task, key if single else f"{key}.{index}")
            notes.extend(loaded.notes)
            renumbered |= loaded.renumbered
            for split, dataset in loaded.splits.items():
                parts.setdefault(split, []).append(dataset)
                written.setdefault(split, []).extend(loaded.parts[split])
    splits = {}
    for split in SPLITS:
        if split in parts:
            with collect(mistakes):
                splits[split] = _concatenate(parts[split], split, key)
    raise_all(mistakes)
    return Gathered(splits, notes, renumbered, written)


def _load(source: DatasetSource, name: str, task: Task, key: str) -> Gathered:
    source_rows = load_source(source, key)
    splits, notes = dict(source_rows.splits), [f"{name}: {note}" for note in source_rows.notes]
    if "test" in splits and not any(column in splits["test"].column_names for column in task.label_columns):
        del splits["test"]
        notes.append(f"{name}: test has no label column and cannot be scored; it is left out.")
    read = [*task.text_columns, *task.label_columns, *(item.column for item in filter_list(source.filter))]
    splits = {split: with_fields(part, read) for split, part in splits.items()}
    mistakes = missing_columns(task, name, splits)
    if source_rows.spelled:
        mistakes.extend(repeated_names(task, name, splits))
        notes.extend(swallowed_rows(name, splits, source, source_rows.files))
        notes.extend(escaped_marks(name, splits, source, source_rows.files))
        if wrong := list(dtype_mistakes(splits, task, source, key)):
            raise_all([*mistakes, *wrong])  # a filter would compare with what the column is not
        splits = read_numbers(splits, task, source)
    dropped_any = False
    parts = {split: [FileRows(part, source, source_rows.files.get(split, []))] for split, part in splits.items()}
    for split, dataset in splits.items():
        with collect(mistakes):
            kept, dropped = filter_rows(dataset, source.filter, f"{key}.filter")
            if dropped:
                dropped_any = True
                notes.append(f"{name}: the filter keeps {len(kept):,} of {name_count(len(dataset), f'{split} row')}.")
            splits[split] = kept
        if len(dataset) and not len(splits[split]):
            columns = ", ".join(sorted({item.column for item in filter_list(source.filter)}))
            found = f"the filter on {columns} keeps none of {name_count(len(dataset), f'{split} row')}"
            mistakes.append(Mistake(f"{key}.filter", found))
    raise_all(mistakes)
    needed = {split: part.select_columns(needed_columns(task, part)) for split, part in splits.items()}
    return Gathered(needed, notes, dropped_any, parts)


def _concatenate(parts: list[Dataset], split: str, key: str) -> Dataset:
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
