"""The result of loading a task."""

from dataclasses import dataclass, field, replace

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.draws import Draw
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.fingerprint import Fingerprint, fingerprint
from hf_mtl.data.imbalance import Imbalance
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.text_keys import TextKeys
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class LoadedTask:
    """A task with its data.

    Args:
        task: The task with its class names filled in.
        splits: Rows of train, validation and, where there is one, test: the task's columns only.
        notes: What was left out or made up on the way, a sentence each.
        overlaps: Which of its rows to score stand in the training rows of any task.
        keys: Hashes of the texts of each split.
        fingerprints: Content of each split.
        carved: The splits that were taken out of train.
        labels: The labels of each split.
        draws: The keys that left training rows out, in order.
        imbalance: The ratio in which the training rows of all tasks were drawn; None: in none.
    """

    task: Task
    splits: dict[str, Dataset]
    notes: list[str]
    overlaps: tuple[Overlap, ...] = ()
    keys: dict[str, TextKeys] = field(default_factory=dict)
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    carved: tuple[str, ...] = ()
    labels: dict[str, EncodedLabels] = field(default_factory=dict)
    draws: tuple[Draw, ...] = ()
    imbalance: Imbalance | None = None

    def with_train_rows(self, rows: NDArray[np.int64]) -> "LoadedTask":
        """Return the same task with some of its training rows only, by index."""
        keys, labels = self.keys["train"].select(rows), self.labels["train"].select(rows)
        return replace(
            self,
            splits={**self.splits, "train": self.splits["train"].select(rows)},
            keys={**self.keys, "train": keys},
            fingerprints={**self.fingerprints, "train": fingerprint(keys, labels)},
            labels={**self.labels, "train": labels},
        )
