"""Splits encoded in one call, for tests of what takes them."""

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.labels import encode_labels
from hf_mtl.data.masses import row_masses
from hf_mtl.data.tokenize import encode_texts
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.tasks import Task


def encode_split(
    name: str,
    task: Task,
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None = None,
    split: str = "train",
) -> EncodedSplit:
    """Encode the texts and the labels of rows that all have one."""
    labels = encode_labels(task, name, split, dataset).values
    tokens = encode_texts(name, task, dataset, tokenizer, max_length, split)
    return EncodedSplit(tokens, labels, masses=row_masses(name, task, labels))
