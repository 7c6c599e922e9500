"""Checks of the columns a task reads, and of its texts."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import (
    arrow_column,
    is_field,
    is_text,
    lists_texts,
    name_count,
    name_rows,
    plain_list,
    plain_values,
    say_type,
)
from hf_mtl.data.csv_reader import repeated_columns
from hf_mtl.data.given_tokens import TOKEN_COLUMNS, check_tokens
from hf_mtl.data.row_weights import reads_weights
from hf_mtl.errors import Mistake, known
from hf_mtl.tasks import Task


def is_tokenised(task: Task, dataset: Dataset) -> bool:
    """Tell whether a dataset brings token ids instead of texts."""
    names = dataset.column_names
    return "input_ids" in names and not any(column in names for column in task.text_columns)


def needed_columns(task: Task, dataset: Dataset, labelled: bool = True) -> list[str]:
    """Return the columns that the task reads from this dataset, each once."""
    tokens = [column for column in TOKEN_COLUMNS if column in dataset.column_names]
    inputs = tokens if is_tokenised(task, dataset) else task.text_columns
    # Rows that are only scored may come without weights; `missing_columns` says where they are needed.
    weights = [task.weight] if task.weight is not None and task.weight in dataset.column_names else []
    return list(dict.fromkeys([*inputs, *([*task.label_columns, *weights] if labelled else [])]))


def missing_columns(task: Task, name: str, splits: Mapping[str, Dataset], labelled: bool = True) -> list[Mistake]:
    """List the columns that are not there, one mistake each, with the splits that lack them."""
    mistakes = []
    keys = {column: "label" for column in task.label_columns if labelled} | {
        column: task.text_key(column) for column in task.text_columns
    }
    for column, field in keys.items():
        lacking = [
            split
            for split, dataset in splits.items()
            if column in needed_columns(task, dataset, labelled) and column not in dataset.column_names
        ]
        if lacking:
            columns = splits[lacking[0]].column_names
            found = f"no column '{column}' in {', '.join(lacking)}"
            if is_field(column, columns):
                found += ", and fields are columns after Dataset.flatten()"
            remedy = known(columns, column, "Columns")
            if _named_by_a_row(task, columns):
                remedy += " The first line of a csv file names them; where it is a row, say header: [their names]."
            mistakes.append(Mistake(f"tasks.{name}.{field}", found, remedy))
    return [*mistakes, *(_missing_weights(task, name, splits) if labelled else [])]


def _named_by_a_row(task: Task, columns: list[str]) -> bool:
    """Tell whether the first line of a csv file seems to be a row: numbers and sentences name no columns."""
    sources = task.dataset if isinstance(task.dataset, list) else [task.dataset]
    named = any(source is not None and source.path == "csv" and source.header is True for source in sources)
    return named and any(name.isdecimal() or len(name.split()) > 3 for name in columns)


def _missing_weights(task: Task, name: str, splits: Mapping[str, Dataset]) -> list[Mistake]:
    """List the splits that lack the column of weights and need it, in one mistake."""
    needing = {split: part.column_names for split, part in splits.items() if reads_weights(task, split)}
    lacking = [split for split, columns in needing.items() if task.weight not in columns]
    if not lacking or task.weight is None:
        return []
    found = f"no column '{task.weight}' in {', '.join(lacking)}"
    remedy = known(needing[lacking[0]], task.weight, "Columns")
    if lacking != ["train"]:
        remedy += " Without weighted_metrics rows that are only scored need no weights."
    return [Mistake(f"tasks.{name}.weight", found, remedy)]


def repeated_names(task: Task, name: str, splits: Mapping[str, Dataset]) -> list[Mistake]:
    """List the columns that the header of a csv file names more than once, one mistake each."""
    mistakes = []
    keys = dict.fromkeys(task.label_columns, "label")
    keys |= {} if task.weight is None else {task.weight: "weight"}
    keys |= {column: task.text_key(column) for column in task.text_columns}
    for column, field in keys.items():
        having = [split for split, part in splits.items() if repeated_columns(part.column_names, column)]
        if having:
            again = ", ".join(repeated_columns(splits[having[0]].column_names, column))
            found = f"the header of {', '.join(having)} names '{column}' more than once"
            remedy = f"Rename one of them in the file, or name another one: {again}."
            mistakes.append(Mistake(f"tasks.{name}.{field}", found, remedy))
    return mistakes


def check_texts(task: Task, name: str, split: str, dataset: Dataset, used: np.ndarray | None = None) -> list[Mistake]:
    """List text columns of another type, and rows without text.

    Args:
        task: The task.
        name: Its name.
        split: The split's name.
        dataset: Its rows.
        used: Rows to look at, bool [n]: those that are dropped for want of a label may be empty. None: all.
    """
    used = np.ones(len(dataset), dtype=bool) if used is None else used
    if is_tokenised(task, dataset):
        return _own_sequences(task, name, split) or check_tokens(name, split, dataset, used)
    mistakes = []
    for column in task.text_columns:
        key = f"tasks.{name}.{task.text_key(column)}"
        values = plain_values(arrow_column(dataset, column))
        listed = column in task.text_lists and not (task.texts_or_lists and is_text(values.type))
        if not (lists_texts(values.type) if listed else is_text(values.type) or pa.types.is_null(values.type)):
            what = "lists of strings" if listed else "strings"
            found = f"{split} column '{column}' holds {say_type(values)}, not {what}"
            mistakes.append(Mistake(key, found, f"Name a column of {what}." if listed else "Name a string column."))
            continue
        if column in task.self_checked:
            continue
        if listed:
            values = plain_list(values)
            holed = null_items(values) & used
            if holed.any():
                rows = f"{name_count(int(holed.sum()))} with a null among the texts of '{column}': {name_rows(holed)}"
                mistakes.append(Mistake(key, f"{split} has {rows}", "Give each a text, or take it out of its list."))
            values, used = joined(values), used & ~holed
        empty = empty_texts(values) & used
        if empty.any():
            found = (
                f"{split} has {name_count(int(empty.sum()))} with empty text in column '{column}': {name_rows(empty)}"
            )
            mistakes.append(Mistake(key, found, _without_text(task, column)))
    return mistakes or list(task.text_mistakes(name, split, dataset, used))


def _own_sequences(task: Task, name: str, split: str) -> list[Mistake]:
    """Refuse token ids for a task that makes the sequences of its rows itself."""
    if task.outputs_per == "row":
        return []
    columns = ", ".join(f"'{column}'" for column in task.text_columns)
    found = f"{split} has input_ids and no column {columns}, and a task of type {task.type} reads texts"
    return [Mistake(f"tasks.{name}.text", found, "Give the texts, which it makes the token ids of.")]


def joined(lists: pa.Array) -> pa.Array:
    """Make one text of each list of texts, with blanks between them; null where it has a null."""
    return pc.binary_join(plain_list(lists).cast(pa.list_(pa.string())), " ")


def null_items(lists: pa.Array) -> np.ndarray:
    """Tell which lists hold a null among their texts, bool [n]."""
    found = np.zeros(len(lists), dtype=bool)
    found[pc.list_parent_indices(lists).filter(pc.is_null(pc.list_flatten(lists))).to_numpy()] = True
    return found


def _without_text(task: Task, column: str) -> str:
    """Return what to do with rows that have no text."""
    leave_out = "Dataset.filter"
    if task.dataset is not None:
        leave_out = f"the dataset's filter: {{column: {column}, not_blank: true}}"
    return f"Give these rows a text, or leave them out with {leave_out}."


def empty_texts(values: pa.Array) -> np.ndarray:
    """Tell which texts are null or hold nothing that can be seen, bool [n]."""
    if pa.types.is_null(values.type):
        return np.ones(len(values), dtype=bool)
    found: np.ndarray = pc.fill_null(blank_texts(values), True).to_numpy(zero_copy_only=False)
    return found
