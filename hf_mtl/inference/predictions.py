"""Predictions in Python: rows in, by task and by name out."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.columns import name_count, name_rows
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.inference.asked_options import check_options
from hf_mtl.inference.given_rows import GivenRows, given_rows
from hf_mtl.inference.row_predictor import Long, RowPredictor
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import TokenizerPlace
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.tasks.predicting import Prediction, RowOutputs

logger = get_logger(__name__)

ROWS = 8192
"""Rows that are read together, of which similar lengths share a batch."""


def predict(
    model: MultiTaskModel,
    rows: Any,
    tasks: str | Sequence[str] | None = None,
    *,
    processing_class: PreTrainedTokenizerBase | None = None,
    top_k: int | None = 1,
    long: Long = "cut",
    batch_tokens: int | None = None,
) -> Any:
    """Predict with a model where it is, see `MultiTaskModel.predict`."""
    check_options({"top_k": top_k, "long": long, "batch_tokens": batch_tokens})
    if not isinstance(processing_class, PreTrainedTokenizerBase | None):
        kind = type(processing_class).__name__
        raise ModelError(Mistake("processing_class", f"found a {kind}", "Give a tokenizer of transformers"))
    chosen = [tasks] if isinstance(tasks, str) else tasks
    given = given_rows(rows, model.tasks, chosen)
    tokenizer = tokenizer_of(model) if processing_class is None else processing_class
    predictor = RowPredictor(model, given.tasks, tokenizer, long, batch_tokens)
    found = predicted_rows(predictor, given, top_k)
    say_what_is_missing(given)
    say_what_is_cut(predictor)
    answers = [row[tasks] for row in found] if isinstance(tasks, str) else found
    return answers[0] if given.alone else answers


def tokenizer_of(model: MultiTaskModel) -> PreTrainedTokenizerBase:
    """Return the tokenizer that lies beside a model, or that it was made with; it is read once.

    Raises:
        ModelError: If none is known.
    """
    known = model._tokenizer
    if isinstance(known, TokenizerPlace):
        known = known.read()
        model.remember_tokenizer(known)
    if not isinstance(known, PreTrainedTokenizerBase):
        remedy = "Give the tokenizer that the model was trained with: processing_class=tokenizer"
        raise ModelError(Mistake("processing_class", "no tokenizer is known for this model", remedy))
    return known


def predicted_rows(
    predictor: RowPredictor, given: GivenRows, top_k: int | None = 1
) -> list[dict[str, Prediction | None]]:
    """Return what is predicted for each row by task, None where a row cannot be read.

    Args:
        predictor: The model with its tasks.
        given: The rows.
        top_k: How many of the likeliest of each row; 1: what is predicted; None: all.
    """
    count = len(given.rows)
    found: list[dict[str, Prediction | None]] = [dict.fromkeys(given.tasks) for _ in range(count)]
    for start in range(0, count, ROWS):
        part = given.rows if count <= ROWS else given.rows.select(range(start, min(start + ROWS, count)))
        marked = {name: reasons[start : start + ROWS] for name, reasons in given.marked.items()}  # views
        with closing(predictor.run(part, marked)) as run:
            for task, rows, outputs in run:
                for row, prediction in zip(rows.tolist(), named(given.tasks[task], outputs, top_k), strict=True):
                    found[start + row][task] = prediction
    return found


def named(task: Task, outputs: RowOutputs, top_k: int | None) -> list[Any]:
    """Name what is predicted for rows, or the likeliest of what may be, where the task has something to choose from.

    Args:
        task: The task.
        outputs: What a model has made of the rows.
        top_k: How many of the likeliest; 1: what is predicted; None: all.
    """
    ranked = None if top_k == 1 else task.ranked(outputs, top_k)
    return task.predicted(outputs) if ranked is None else list(ranked)


def say_what_is_missing(given: GivenRows) -> None:
    """Say which rows have no prediction, and why the first of them has none."""
    for name, reasons in given.marked.items():
        none = np.array([reason is not None for reason in reasons], dtype=bool)
        if none.any():
            why = reasons[int(none.argmax())]
            logger.warning(f"{name}: {name_count(int(none.sum()))} without a prediction: {name_rows(none)} ({why}).")


def say_what_is_cut(predictor: RowPredictor) -> None:
    """Say how many rows have lost a part."""
    for name, count in predictor.cut.items():
        if count:
            logger.warning(f"{name}: {name_count(count)} longer than the model reads, and cut.")
