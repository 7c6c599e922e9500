"""What a Trainer checks and prepares before its first step."""

import math
from collections.abc import Mapping, Sequence
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
from hf_mtl.data.processes import agree, is_main_process
from hf_mtl.data.same_rows import other_rows, signs_of
from hf_mtl.data.sharing import of_one_process
from hf_mtl.data.tokenize import encode_texts
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.statistics import ClassWeights, TargetStatistics
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Regression, SequenceClassification, Task
from hf_mtl.training.token_notes import say_given_ids, unknown_texts

logger = get_logger(__name__)


def encode_splits(
    datasets: Mapping[str, Dataset | EncodedSplit] | Dataset,
    tasks: Mapping[str, Task],
    tokenizer: Any,
    max_length: int | None,
    split: str,
) -> dict[str, EncodedSplit]:
    """Check and tokenise one split of every task, in the model's task order.

    One process of each machine does it; the others map what it has made, or hear the mistakes.

    Args:
        datasets: Datasets by task, or one Dataset where there is one task. Encoded ones are taken as they are.
        tasks: The model's tasks.
        tokenizer: The tokenizer.
        max_length: Longest row in tokens.
        split: ``train``, ``validation`` or ``test``; for messages.

    Raises:
        DataError: If a task is unknown, or rows cannot be used; the mistakes of all tasks at once. If a process has
            other rows than the first one.
    """
    encoded, signs = of_one_process(
        lambda: (_encode_splits(datasets, tasks, tokenizer, max_length, split), signs_of(datasets, tasks))
    )
    agree(other_rows(signs, signs_of(datasets, tasks), split))
    return encoded


def _encode_splits(
    datasets: Mapping[str, Dataset | EncodedSplit] | Dataset,
    tasks: Mapping[str, Task],
    tokenizer: Any,
    max_length: int | None,
    split: str,
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
            encoded[name] = _encode(name, task, dataset, tokenizer, max_length, split)
            say_given_ids(name, task, dataset, encoded[name], tokenizer, split)
        except DataError as error:
            mistakes += error.mistakes
    if tokenizer is not None:
        mistakes += unknown_texts(encoded, tokenizer, split)
    if mistakes:
        raise DataError(dict.fromkeys(mistakes))
    if is_main_process():
        for name, found in encoded.items():
            _say_what_is_left_out(name, found, split)
    return encoded


def _refuse_without_tokenizer(datasets: Mapping[str, Any], found: Any) -> None:
    texts = ", ".join(name for name, dataset in datasets.items() if not isinstance(dataset, EncodedSplit))
    if texts:
        problem = "is missing" if found is None else f"is a {type(found).__name__}"
        remedy = f"Give the tokenizer of the backbone, such as AutoTokenizer.from_pretrained gives, for {texts}"
        raise DataError(Mistake("processing_class", problem, remedy))


def _say_what_is_left_out(name: str, found: EncodedSplit, split: str) -> None:
    """Say how many rows were cut, and how many have no label."""
    if found.tokens.truncated:
        logger.warning_once(
            f"{name}: {found.tokens.truncated:,} of {len(found):,} {split} rows are longer than "
            f"{found.tokens.lengths.max()} tokens and are cut to that."
        )
    if found.missing is not None:
        logger.warning(
            f"{name}: {int(found.missing.sum()):,} of {len(found):,} {split} rows have no label; they are "
            "predicted and not scored."
        )


def _encode(
    name: str, task: Task, dataset: Dataset, tokenizer: Any, max_length: int | None, split: str
) -> EncodedSplit:
    """One task's split; of rows to predict, some or all may come without a label."""
    if split == "test":
        return _encode_all(name, task, dataset, tokenizer, max_length, split)
    rows = prepare_rows(name, task, dataset, split)
    return EncodedSplit(encode_texts(name, task, rows.dataset, tokenizer, max_length, split), rows.labels.values)


def _encode_all(
    name: str, task: Task, dataset: Dataset, tokenizer: Any, max_length: int | None, split: str
) -> EncodedSplit:
    """Every row of a split in its order, also those without a label."""
    absent = [column for column in task.label_columns if column not in getattr(dataset, "column_names", ())]
    rows, labels = _check_all(name, task, dataset, split, labelled=not absent)
    if 0 < len(absent) < len(task.label_columns) and is_main_process():
        logger.warning(f"{name}: {split} has no column {', '.join(absent)}: its rows are predicted and not scored.")
    tokens = encode_texts(name, task, rows, tokenizer, max_length, split=split)
    if labels is None:
        return EncodedSplit(tokens, np.zeros(len(tokens)), labelled=False)
    missing = labels.missing if labels.missing.any() else None
    return EncodedSplit(tokens, labels.values, labelled=not labels.missing.all(), missing=missing)


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
        if labelled and len(dataset):
            labels = encode_labels(task, name, split, dataset)
    raise_all(mistakes)
    if labels is not None:
        remember(task, split, dataset, Checked(labels))
    return rows, labels


def fit_statistics(model: MultiTaskModel, train: Mapping[str, EncodedSplit], refit: bool = False) -> None:
    """Give a new model the training statistics that its losses need.

    A model that has some keeps them, with a warning where they are far from those of its new rows.

    Args:
        model: The model.
        train: The training rows by task.
        refit: Whether a model that has some gets those of its new rows too.
    """
    for name, split in train.items():
        task, statistics = model.tasks[name], model.heads.of(name).statistics
        keep = statistics.is_fitted and not refit
        if isinstance(task, Regression) and isinstance(statistics, TargetStatistics):
            mean, std = _moments(split.labels)
            _check_digits(name, task, mean, std)
            if keep:
                _compare_targets(name, task, statistics, mean, std)
            else:
                model.set_target_statistics(name, mean.tolist(), std.tolist())
        elif isinstance(task, SequenceClassification) and isinstance(statistics, ClassWeights):
            weights = class_weights(name, task, split.labels)
            if keep:
                _compare_weights(name, task, statistics, weights, split.labels)
            else:
                model.set_class_weights(name, weights)


def _moments(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [D] of targets [n, D]."""
    # Of a constant such as 6.9 the mean is rounded, and the deviation from it is 1e-15, not 0.
    return targets.mean(axis=0), np.where(np.ptp(targets, axis=0) > 0, targets.std(axis=0), 0.0)


def _check_digits(name: str, task: Regression, mean: np.ndarray, std: np.ndarray) -> None:
    """Warn of targets that differ by hardly more than the numbers of float32, in which models learn and predict."""
    steps = np.spacing(np.abs(mean).astype(np.float32))
    for place in np.flatnonzero((std > 0) & (steps > std / 100)):
        if is_main_process():
            logger.warning(
                f"{name}: the targets '{task.label_columns[place]}' are around {mean[place]:g} with a standard "
                f"deviation of {std[place]:g}, and float32 has steps of {steps[place]:g} there. Subtract an offset."
            )


def _compare_targets(name: str, task: Regression, kept: TargetStatistics, mean: np.ndarray, std: np.ndarray) -> None:
    for place in kept.far_from(mean.tolist(), std.tolist()):
        _say_far(
            name,
            f"mean {kept.mean[place]:g} and the standard deviation {kept.std[place]:g} of "
            f"'{task.label_columns[place]}'",
            f"{mean[place]:g} and {std[place]:g}",
        )


def _compare_weights(
    name: str, task: SequenceClassification, kept: ClassWeights, weights: Sequence[float], labels: np.ndarray
) -> None:
    here = np.unique(labels)  # of other classes these rows say nothing
    for place in kept.far_from(weights):
        if place not in here:
            continue
        label = (task.label_names or [])[place]
        _say_far(name, f"loss weight {kept.weights[place]:.3g} of the class '{label}'", f"{weights[place]:.3g}")


def _say_far(name: str, kept: str, here: str) -> None:
    if is_main_process():
        logger.warning(
            f"{name}: the model keeps the {kept} from the rows that it was first trained on; these rows have {here}. "
            "Set training.refit_statistics to renew what it knows of its rows; predicted targets move with it."
        )


def target_statistics(model: MultiTaskModel) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each standardised target, as the model keeps them, by task."""
    fitted = {name: model.heads.of(name).statistics for name in model.tasks}
    return {
        name: {"mean": found.mean.tolist(), "std": found.std.tolist()}
        for name, found in fitted.items()
        if isinstance(found, TargetStatistics)
    }


def class_weights(name: str, task: SequenceClassification, labels: np.ndarray) -> list[float]:
    """One weight per class in id order, scaled to a mean of 1 over the training rows.

    Balanced, a class without training rows weighs 1 too: its weight counts in validation losses alone.

    Raises:
        DataError: If weights are given for other classes than the task has, or make every training row count nothing.
    """
    counts = np.bincount(labels, minlength=task.num_outputs).astype(np.float64)
    given = task.class_weights
    if given == "balanced":
        weights = len(labels) / (len(counts) * np.maximum(counts, 1))
    else:
        weights = _given_weights(name, task.label_names or [], given)
    mean = float((weights * counts).sum() / counts.sum())
    if mean == 0:
        found = "weighs every class that has training rows 0"
        raise DataError(Mistake(f"tasks.{name}.class_weights", found, "Give a class with rows a weight above 0"))
    weights = weights / mean
    if given == "balanced":
        weights[counts == 0] = 1.0
    return weights.tolist()


def _given_weights(name: str, names: list[str], given: list[float] | dict[str, float] | None) -> np.ndarray:
    """The weights that a task gives its classes, in id order."""
    strangers = set(given) - set(names) if isinstance(given, dict) else set()
    values = [given.get(label, math.nan) for label in names] if isinstance(given, dict) else list(given or [])
    if strangers or len(values) != len(names) or not all(0 <= value < math.inf for value in values):
        raise DataError(
            Mistake(f"tasks.{name}.class_weights", f"found {given}", f"Give a weight >= 0 for each of {names}")
        )
    return np.array(values, dtype=np.float64)
