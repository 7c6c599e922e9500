"""What a source does with its columns before a task reads them.

The order is: rename, filter, map, concat, function. The filter is in `data/gather.py`, as every source has one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset
from numpy.typing import NDArray

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import arrow_column, collect, name_count, plain_values, raise_all, say_type
from hf_mtl.data.mapped_values import ambiguous_keys, map_column, replaced
from hf_mtl.data.row_function import apply_function, load_function, own_modules
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import DatasetSource
from hf_mtl.tasks.templates import parse_template

Splits = Mapping[str, Dataset]


@dataclass
class Made:
    """Rows that a source has made of those of its files.

    Args:
        splits: Rows per split.
        origins: Of which row that was given each was made; of splits where that is not the row of its own number.
        notes: What the user should know.
    """

    splits: dict[str, Dataset]
    origins: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def changes_values(source: DatasetSource) -> bool:
    """Tell whether a source makes other values than its files have."""
    return bool(source.map or source.concat or source.function)


def rename_columns(splits: Splits, source: DatasetSource, key: str) -> dict[str, Dataset]:
    """Give columns their new names.

    Args:
        splits: Rows per split.
        source: Where they come from.
        key: Its recipe key.

    Raises:
        DataError: If no split has an old name, or another column has a new one.
    """
    mistakes = list(_absent(splits, source.rename, f"{key}.rename"))
    renamed = {}
    for split, part in splits.items():
        names = {old: source.rename.get(old, old) for old in part.column_names}
        for old, new in names.items():
            if new != old and new in names and names[new] == new:
                remedy = f"Rename that one too, or choose another name than '{new}'."
                mistakes.append(Mistake(f"{key}.rename.{old}", f"{split} has a column '{new}' already", remedy))
        renamed[split] = part.rename_columns(names) if source.rename and not mistakes else part
    raise_all(mistakes)
    return renamed


def make_columns(splits: Splits, source: DatasetSource, name: str, key: str) -> Made:
    """Map, concatenate and hand rows to the function, as the source says.

    Args:
        splits: Renamed and filtered rows.
        source: Where they come from.
        name: The task's name.
        key: Recipe key of the source.

    Raises:
        DataError: If columns are not there, a map lacks values, or the function fails; all mistakes of a step.
    """
    made = Made(dict(splits))
    _map(made, source, name, f"{key}.map")
    _concat(made, source, name, f"{key}.concat")
    if source.function is not None:
        _call(made, source.function, name, f"{key}.function")
    return made


def _absent(splits: Splits, columns: Mapping[str, object], key: str) -> Iterator[Mistake]:
    names = dict.fromkeys(name for part in splits.values() for name in part.column_names)
    for column in columns:
        if column not in names:
            yield Mistake(f"{key}.{column}", f"no column '{column}'", known(list(names), column, "Columns"))


def _map(made: Made, source: DatasetSource, name: str, key: str) -> None:
    mistakes = list(_absent(made.splits, source.map, key))
    for column, labels in source.map.items():
        place = f"{key}.{column}"
        mistakes += ambiguous_keys(labels, place)
        used: set[str] = set()
        for split, part in made.splits.items():
            if column in part.column_names:
                found = map_column(part, column, labels, split, place)
                made.splits[split] = found.dataset
                used |= found.used
                mistakes += found.mistakes
        idle = [repr(value) for value in labels if value not in used]
        if idle and used:
            made.notes.append(f"{name}: no row has the value {', '.join(idle)} that the map of '{column}' names.")
    raise_all(mistakes)


def _concat(made: Made, source: DatasetSource, name: str, key: str) -> None:
    mistakes: list[Mistake] = []
    for split, part in made.splits.items():
        new = {}
        for column, template in source.concat.items():
            with collect(mistakes):
                # Of the columns that there were: the templates do not read each other's.
                new[column] = _filled(template, part, split, f"{key}.{column}")
        for column, values in new.items():
            made.splits[split] = replaced(made.splits[split], column, values)
    raise_all(mistakes)


def _filled(template: str, part: Dataset, split: str, key: str) -> pa.Array:
    """Fill a template with the columns of every row; null where all of them are blank."""
    parts = parse_template(template)
    wanted = list(dict.fromkeys(item.text for item in parts if item.is_column))
    mistakes = [
        Mistake(key, f"{split} has no column '{column}'", known(part.column_names, column, "Columns"))
        for column in wanted
        if column not in part.column_names
    ]
    texts: dict[str, pa.Array] = {}
    for column in wanted:
        if column in part.column_names:
            with collect(mistakes):
                texts[column] = _as_texts(part, column, split, key)
    raise_all(mistakes)
    pieces = [texts[item.text] if item.is_column else pa.scalar(item.text, pa.large_string()) for item in parts]
    joined = pc.binary_join_element_wise(*pieces, pa.scalar("", pa.large_string()))
    blank = np.logical_and.reduce([blank_texts(texts[column]).to_numpy(zero_copy_only=False) for column in wanted])
    return pc.if_else(pa.array(blank.astype(bool)), pa.scalar(None, pa.large_string()), joined)


def _as_texts(part: Dataset, column: str, split: str, key: str) -> pa.Array:
    """Return the values of a column as texts; a missing one is empty."""
    values, feature = plain_values(arrow_column(part, column)), part.features[column]
    if isinstance(feature, ClassLabel):
        ids = pc.if_else(pc.greater_equal(values, 0), values, pa.scalar(None, values.type))
        values = pa.array(feature.names, pa.large_string()).take(ids)
    if (
        pa.types.is_nested(values.type)
        or isinstance(values.type, pa.BaseExtensionType)
        or pa.types.is_binary(values.type)
    ):
        problem = f"{split} column '{column}' holds {say_type(values)}"
        raise DataError(Mistake(key, problem, "A template takes texts, numbers, booleans and dates."))
    return pc.fill_null(values.cast(pa.large_string()), "")


def _call(made: Made, path: str, name: str, key: str) -> None:
    mistakes: list[Mistake] = []
    with own_modules():
        function = load_function(path, key)
        for split, part in made.splits.items():
            with collect(mistakes):
                rows, origins = apply_function(function, part, split, key)
                if not len(rows):
                    raise DataError(
                        Mistake(key, f"{split}: the function '{path}' leaves none of {name_count(len(part))}")
                    )
                made.splits[split], made.origins[split] = rows, origins
                made.notes.append(
                    f"{name}: the function {path} gives {len(rows):,} for {name_count(len(part), f'{split} row')}."
                )
    raise_all(mistakes)
