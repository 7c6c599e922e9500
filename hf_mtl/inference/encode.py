"""Encoding of splits: checks and tokenises the rows of every task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, IterableDatasetDict
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.checked import Checked, remember, remembered
from hf_mtl.data.columns import collect, raise_all
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.formats import plain_rows
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import prepare_dataset, prepare_rows
from hf_mtl.data.masses import row_masses
from hf_mtl.data.processes import agree, is_main_process
from hf_mtl.data.row_weights import reads_weights
from hf_mtl.data.same_rows import other_rows, signs_of
from hf_mtl.data.seen_rows import SeenRows
from hf_mtl.data.sharing import of_one_process
from hf_mtl.data.stream_names import source_of
from hf_mtl.data.token_checks import empty_rows
from hf_mtl.data.tokenize import MAX_LENGTH, cutting_at, encode_texts
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.inference.token_notes import say_given_ids, unknown_texts
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def encode_splits(
    datasets: Mapping[str, Dataset | EncodedSplit] | Dataset,
    tasks: Mapping[str, Task],
    tokenizer: Any,
    max_length: int | None,
    split: str,
    seen: SeenRows | None = None,
) -> dict[str, EncodedSplit]:
    """Check and tokenise one split of every task, in the model's task order.

    One process of each machine does it; the others map what it has made, or hear the mistakes.

    Args:
        datasets: Datasets by task, or one Dataset where there is one task. Encoded ones are taken as they are.
        tasks: The model's tasks.
        tokenizer: The tokenizer.
        max_length: Longest row in tokens, of tasks that have no limit of their own.
        split: ``train``, ``validation`` or ``test``; for messages.
        seen: Takes the texts of labelled rows, to compare them; None: they are not compared.

    Raises:
        DataError: If a task is unknown, or rows cannot be used; the mistakes of all tasks at once. If a process has
            other rows than the first one.
    """
    encoded, signs = of_one_process(
        lambda: (_encode_splits(datasets, tasks, tokenizer, max_length, split, seen), signs_of(datasets, tasks))
    )
    # These signs are of this process's own rows, those above of the first one's: they differ if the rows do.
    agree(other_rows(signs, signs_of(datasets, tasks), split))
    return encoded


def _encode_splits(
    datasets: Mapping[str, Dataset | EncodedSplit] | Dataset,
    tasks: Mapping[str, Task],
    tokenizer: Any,
    max_length: int | None,
    split: str,
    seen: SeenRows | None = None,
) -> dict[str, EncodedSplit]:
    if not isinstance(datasets, Mapping):
        if len(tasks) != 1:
            raise DataError(
                f"the model has {len(tasks)} tasks ({', '.join(tasks)}): give a dictionary {{task: Dataset}}"
            )
        datasets = {next(iter(tasks)): datasets}
    unknown = [name for name in datasets if name not in tasks]
    if unknown:
        of_splits = isinstance(datasets, DatasetDict | IterableDatasetDict)
        way = " A DatasetDict holds splits: give {task: data['train']}." if of_splits else ""
        raise DataError(
            [Mistake(f"tasks.{name}", "the model has no such task", known(tasks, name) + way) for name in unknown]
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        _refuse_without_tokenizer(datasets, tokenizer)
    encoded: dict[str, EncodedSplit] = {}
    mistakes: list[Mistake] = []
    for name, task in tasks.items():
        if name not in datasets:
            continue
        dataset = datasets[name]
        if isinstance(dataset, EncodedSplit):
            encoded[name] = dataset
            continue
        try:
            if isinstance(dataset, Dataset):
                dataset = plain_rows(dataset, name, split)
            read = _source(task, split, datasets[name])
            encoded[name] = replace(_encode(name, task, dataset, tokenizer, max_length, split, seen), source=read)
            say_given_ids(name, task, dataset, encoded[name], tokenizer, split)
        except DataError as error:
            mistakes += error.mistakes
    for name, found in encoded.items():
        mistakes += empty_rows(name, split, found.tokens)
    if tokenizer is not None:
        mistakes += unknown_texts(encoded, tokenizer, split)
    if mistakes:
        raise DataError(dict.fromkeys(mistakes))
    if is_main_process():
        for name, found in encoded.items():
            side = tasks[name].truncation_side or getattr(tokenizer, "truncation_side", None)
            _say_what_is_left_out(name, found, split, side)
    return encoded


def _source(task: Task, split: str, dataset: object) -> str | None:
    """Return what the rows of a task were read from, where it shares them with tasks that read the same; None: it
    does not.
    """
    if not task.stream or split != "train" or not isinstance(dataset, Dataset):
        return None
    checked = remembered(task, split, dataset)
    return source_of(task, dataset) if checked is None or checked.source is None else checked.source


def _refuse_without_tokenizer(datasets: Mapping[str, Any], found: Any) -> None:
    texts = ", ".join(name for name, dataset in datasets.items() if not isinstance(dataset, EncodedSplit))
    if texts:
        problem = "is missing" if found is None else f"is a {type(found).__name__}"
        remedy = f"Give the tokenizer of the backbone, such as AutoTokenizer.from_pretrained gives, for {texts}"
        raise DataError(Mistake("processing_class", problem, remedy))


def _say_what_is_left_out(name: str, found: EncodedSplit, split: str, side: str | None) -> None:
    """Say how many rows were cut, and how many have no label."""
    if found.truncated:
        at_beginning = ", at their beginning" if side == "left" else ""
        logger.warning_once(
            f"{name}: {found.truncated:,} of {len(found):,} {split} rows are longer than "
            f"{found.tokens.lengths.max()} tokens and are cut to that{at_beginning}."
        )
    if found.missing is not None:
        logger.warning(
            f"{name}: {int(found.missing.sum()):,} of {len(found):,} {split} rows have no label"
            f"{'' if found.weights is None else ', or weight 0'}; they are predicted and not scored."
        )


def _encode(
    name: str,
    task: Task,
    dataset: Dataset,
    tokenizer: Any,
    max_length: int | None,
    split: str,
    seen: SeenRows | None,
) -> EncodedSplit:
    """Encode one task's split; of rows to predict, some or all may come without a label."""
    if split == "test":
        return _encode_all(name, task, dataset, tokenizer, max_length, split)
    rows = prepare_rows(name, task, dataset, split, keyed=seen is not None)
    if seen is not None:
        seen.add(name, split, task, rows)
    laid = _said(lay_out(name, task, rows.dataset, rows.labels.values, tokenizer, max_length, split))
    # Rows that became validation rows may have weights that are not asked for there.
    weights = rows.labels.weights if reads_weights(task, split) else None
    return replace(laid, masses=row_masses(name, task, laid.labels), weights=weights)


def _encode_all(
    name: str, task: Task, dataset: Dataset, tokenizer: Any, max_length: int | None, split: str
) -> EncodedSplit:
    """Encode every row of a split in its order, also those without a label."""
    absent = [column for column in task.label_columns if column not in getattr(dataset, "column_names", ())]
    rows, labels = _check_all(name, task, dataset, split, labelled=not absent)
    if 0 < len(absent) < len(task.label_columns) and is_main_process():
        logger.warning(f"{name}: {split} has no column {', '.join(absent)}: its rows are predicted and not scored.")
    values = None if labels is None else labels.values
    laid = _said(lay_out(name, task, rows, values, tokenizer, max_length, split))
    if labels is None:
        return replace(laid, labelled=False)
    return replace(
        laid,
        labelled=not labels.missing.all(),
        missing=labels.missing if labels.missing.any() else None,
        masses=row_masses(name, task, laid.labels),
        weights=labels.weights if reads_weights(task, split) else None,
    )


def _said(found: tuple[EncodedSplit, Sequence[str]]) -> EncodedSplit:
    """Take rows that were laid out, and say what the user should know of it."""
    laid, notes = found
    if is_main_process():
        for note in notes:
            logger.warning_once(note)
    return laid


def lay_out(
    name: str,
    task: Task,
    dataset: Dataset,
    labels: np.ndarray | None,
    tokenizer: Any,
    max_length: int | None,
    split: str,
) -> tuple[EncodedSplit, Sequence[str]]:
    """Turn checked rows into tokens, in the way of their task's type; without labels they have zeros, or references
    alone.

    Args:
        name: The task's name.
        task: The task.
        dataset: The rows, without a mistake.
        labels: Their labels as the task encodes them; None: there are none.
        tokenizer: The tokenizer.
        max_length: Longest row in tokens, where the task has no limit of its own.
        split: The split's name, for messages.

    Returns:
        The rows, and what the user should know of what was cut, left out or split.

    Raises:
        DataError: If the limit leaves no room for text.
    """
    try:
        with cutting_at(tokenizer, task.truncation_side):
            laid = task.lay_out(name, split, dataset, labels, tokenizer, task.max_length or max_length)
    except DataError as error:
        own = f"tasks.{name}.max_length"
        raise DataError(
            replace(item, key=own) if task.max_length and item.key == MAX_LENGTH else item for item in error.mistakes
        ) from error
    if laid is None:
        tokens = encode_texts(name, task, dataset, tokenizer, max_length, split)
        return EncodedSplit(tokens, np.zeros(len(tokens)) if labels is None else labels), ()
    assert isinstance(laid.tokens, TokenStore)
    references = laid.references
    if references is None and laid.labels is not None:
        references = labels
    read = labels if laid.labels is None else laid.labels
    encoded = EncodedSplit(
        laid.tokens, np.zeros(len(laid.sites)) if read is None else read, sites=laid.sites, references=references
    )
    return encoded, laid.notes


def _check_all(
    name: str, task: Task, dataset: Dataset, split: str, labelled: bool
) -> tuple[Dataset, EncodedLabels | None]:
    """Check rows that need no labels, and read those they have; what was checked before is not again."""
    checked = remembered(task, split, dataset) if isinstance(dataset, Dataset) else None
    if checked is not None:
        return dataset, checked.labels
    mistakes: list[Mistake] = []
    rows, labels = dataset, None
    with collect(mistakes):
        rows = prepare_dataset(name, task, dataset, split, labelled=False)
    with collect(mistakes):
        if labelled and isinstance(dataset, Dataset) and len(dataset):
            labels = encode_labels(task, name, split, dataset)
    raise_all(mistakes)
    if labels is not None:
        remember(task, split, dataset, Checked(labels))
    return rows, labels
