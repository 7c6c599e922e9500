"""Memory of rows that were checked: no other function and no second Trainer checks them again."""

import json
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from datasets import Dataset

from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.text_keys import TextKeys
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class Checked:
    """Rows without a mistake.

    Args:
        labels: The labels of all rows.
        notes: What the user should know of how they were read; nothing if it was said.
        keys: The hashes of the texts of the rows that have a label; None while nobody has asked.
        source: What the rows were read from, as `hf_mtl.data.streams.source_of` has it; None: the dataset itself.
    """

    labels: EncodedLabels
    notes: tuple[str, ...] = ()
    keys: TextKeys | None = None
    source: str | None = None


# By the object: it goes when the rows go, and nobody can take other rows for these.
_found: "WeakKeyDictionary[Dataset, dict[tuple[str, ...], Checked]]" = WeakKeyDictionary()


def remember(task: Task, split: str, dataset: Dataset, checked: Checked) -> None:
    """Keep what was found, as long as somebody has the rows.

    Args:
        task: The task, resolved.
        split: What the rows were checked for.
        dataset: The rows.
        checked: What was found; nothing in it may refer to the rows.
    """
    _found.setdefault(dataset, {})[_key(task, split, dataset)] = checked


def remembered(task: Task, split: str, dataset: Dataset) -> Checked | None:
    """Return what was found when these rows were checked for the same task and split; None if they were not."""
    return _found.get(dataset, {}).get(_key(task, split, dataset))


def _key(task: Task, split: str, dataset: Dataset) -> tuple[str, ...]:
    """Return all that a check depends on beside the rows; a dataset changed in place has another fingerprint."""
    read = {key: value for key, value in task.for_config().items() if key not in ("metrics", "head")}
    return json.dumps(read, sort_keys=True), split, dataset._fingerprint
