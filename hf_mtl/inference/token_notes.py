"""Notes about token ids: texts that the tokenizer does not know, and padding that is read as text."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from hf_mtl.data.processes import is_main_process
from hf_mtl.data.texts import is_tokenised
from hf_mtl.data.token_checks import padded_rows, unknown_share
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)

MOST_UNKNOWN = 0.5
"""Largest share of unknown tokens that a task is trained with."""

LEAST_SAID = 0.0005
"""Smallest share of unknown tokens that is said: 0.1% when it is rounded."""


def unknown_texts(encoded: Mapping[str, EncodedSplit], tokenizer: Any, split: str) -> list[Mistake]:
    """Say what share of each task's texts the tokenizer does not know.

    Returns:
        A mistake for every task of whose texts it does not know the larger part. Not for the rows of ``test``, which
        may be few, and are told of only.
    """
    mistakes = []
    for name, found in encoded.items():
        share = unknown_share(found.tokens, tokenizer)
        if share < LEAST_SAID:
            continue
        said = f"the tokenizer does not know {share:.1%} of the tokens of {split}"
        if share > MOST_UNKNOWN and split != "test":
            remedy = "Give the tokenizer that belongs to the backbone, or one that was made for such texts."
            mistakes.append(Mistake(f"tasks.{name}.text", said, remedy))
        elif is_main_process():
            logger.warning_once(f"{name}: {said}.")
    return mistakes


def say_given_ids(
    name: str, task: Task, dataset: Dataset | EncodedSplit, encoded: EncodedSplit, tokenizer: Any, split: str
) -> None:
    """Say of given token ids that a named text column is not read for them, and how many rows look padded.

    Without a mask, nothing tells padding from text.
    """
    if isinstance(dataset, EncodedSplit) or not is_tokenised(task, dataset):
        return
    if task.text != type(task).model_fields["text"].default and is_main_process():
        columns = " and ".join(f"'{column}'" for column in task.text_columns)
        logger.warning_once(f"{name}: {split} has input_ids and no column {columns}; the ids are read.")
    rows = 0 if "attention_mask" in dataset.column_names else padded_rows(encoded.tokens, tokenizer)
    if rows and is_main_process():
        logger.warning_once(
            f"{name}: {rows:,} of {len(encoded):,} {split} rows begin or end in the padding token "
            f"({tokenizer.pad_token_id}), which is read as text, since they have no attention_mask."
        )
