"""Subjects of the tiny world: a model with rows of its tasks."""

from collections.abc import Mapping

from datasets import Dataset

from hf_mtl import MultiTaskModel
from hf_mtl.experiments.affinity.subject import Subject
from hf_mtl.inference.encode import encode_splits
from tests import tiny


def subject_of(model: MultiTaskModel, train: Mapping[str, Dataset], validation: Mapping[str, Dataset]) -> Subject:
    """A subject with these rows."""
    splits = [
        encode_splits(rows, model.tasks, tiny.tokenizer(), None, split)
        for rows, split in ((train, "train"), (validation, "validation"))
    ]
    return Subject(model, splits[0], splits[1], pad_id=0, seed=0)


def tiny_subject(rows: int = 12) -> Subject:
    """The three tasks of the tiny world."""
    sizes = dict.fromkeys(tiny.TASKS, rows)
    return subject_of(tiny.model(dropout=0.3), tiny.datasets(sizes), tiny.datasets(sizes, seed=1))
