"""The result of loading a task."""

from dataclasses import dataclass, field

from datasets import Dataset

from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.fingerprint import Fingerprint
from hf_mtl.data.text_keys import TextKeys
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class LoadedTask:
    """A task with its data.

    Args:
        task: The task with its class names filled in.
        splits: Rows of train, validation and, where there is one, test: the task's columns only.
        notes: What was left out or made up on the way, a sentence each.
        overlaps: Of which splits the texts are training texts of any task, a sentence each.
        keys: Hashes of the texts of each split.
        fingerprints: Content of each split.
        carved: The splits that were taken out of train.
        labels: The labels of each split.
    """

    task: Task
    splits: dict[str, Dataset]
    notes: list[str]
    overlaps: list[str] = field(default_factory=list)
    keys: dict[str, TextKeys] = field(default_factory=dict)
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    carved: tuple[str, ...] = ()
    labels: dict[str, EncodedLabels] = field(default_factory=dict)
