"""What every run's encoder makes of every task's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_mtl.data.batch_sites import labels_of, sites_of
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import RunError
from hf_mtl.experiments.diagnose.subjects import Subject, TaskRows
from hf_mtl.inference.layer_features import HeadFeatures, LayerFeatures, head_features, site_offsets

SITE_NUMBERS = 1 << 26
"""The most numbers that are kept of the sites of a task's rows, over all layers: 256 MB."""


@dataclass(frozen=True, eq=False)
class TaskFeatures:
    """What one run makes of one task's rows.

    Args:
        rows: The rows that are compared.
        features: Their features.
        train_rows: The training rows; None: there are none.
        train: Their features.
    """

    rows: EncodedSplit
    features: LayerFeatures
    train_rows: EncodedSplit | None = None
    train: LayerFeatures | None = None

    @property
    def site_labels(self) -> np.ndarray:
        """Return the label of each site of the rows, [U], where tokens carry labels."""
        places = np.arange(len(self.rows))
        sites = sites_of(self.rows, places)
        assert sites is not None
        found: np.ndarray = labels_of(self.rows, places, sites).numpy().reshape(-1)[sites["places"].numpy()]
        return found


Features = Mapping[str, Mapping[str, TaskFeatures]]
"""By run and task."""
Heads = Mapping[str, Mapping[str, Mapping[str, HeadFeatures]]]
"""By run and by the task whose rows they are of: what each head makes of them."""


def read_features(
    subjects: Sequence[Subject], rows: Mapping[str, TaskRows], split: str
) -> tuple[dict[str, dict[str, TaskFeatures]], list[str]]:
    """Run the rows of every task through the encoder of every run.

    Args:
        subjects: The runs.
        rows: The rows by task.
        split: The split that those which are compared are from.

    Returns:
        The features by run and task, and what the user should know.

    Raises:
        UserError: If rows cannot be used, or an encoder gives no states of its layers.
    """
    counts, notes = {}, []
    for name, given in rows.items():
        owner = subjects[given.owner]
        found = owner.encode(name, given.task, given.scored, split)
        counts[name] = _rows_within(found, owner)
        if counts[name] < len(found):
            notes.append(
                f"{name}: {counts[name]:,} of {len(found):,} rows are looked at: more of their tokens would not fit "
                "into 256 MB."
            )
    features = {
        subject.name: {name: _read(subject, name, given, split, counts[name]) for name, given in rows.items()}
        for subject in subjects
    }
    for name in rows:
        found_rows = {subject.name: len(features[subject.name][name].rows) for subject in subjects}
        if len(set(found_rows.values())) > 1:
            said = ", ".join(f"{count:,} of {run}" for run, count in found_rows.items())
            raise RunError(f"tasks.{name}: the runs do not read the same rows: {said}")
    return features, notes


def read_heads(subjects: Sequence[Subject], features: Features) -> dict[str, dict[str, dict[str, HeadFeatures]]]:
    """Run the rows of each run's own tasks through the heads of all of them, where a row has one output.

    Args:
        subjects: The runs.
        features: Their features, by run and task.
    """
    found = {}
    for subject in subjects:
        rows = {name: item.rows for name, item in features[subject.name].items() if item.features.outputs is not None}
        tasks = [name for name in rows if subject.model.tasks[name].outputs_per == "row"]
        found[subject.name] = {
            name: head_features(
                subject.model, rows[name], subject.collator(name, rows[name]), subject.reader.limit, tasks
            )
            for name in tasks
        }
    return found


def _read(subject: Subject, name: str, given: TaskRows, split: str, count: int) -> TaskFeatures:
    with_sites = given.task.outputs_per != "row"
    rows = _first(subject.encode(name, given.task, given.scored, split), count)
    # A task of that name in this run may be another one, whose head says nothing of these rows.
    own = name in subject.model.tasks and subject.model.tasks[name].output_names == given.task.output_names
    found = subject.reader.read(rows, subject.collator(name, rows), name, with_sites)
    found = found if own else replace(found, outputs=None)
    if given.train is None:
        return TaskFeatures(rows, found)
    # As rows to train on are read: validation rows may be cut into windows otherwise.
    train_rows = subject.encode(name, given.task, given.train, "train")
    train_rows = _first(train_rows, _rows_within(train_rows, subject))
    train = subject.reader.read(train_rows, subject.collator(name, train_rows), name, with_sites)
    return TaskFeatures(rows, found, train_rows, train)


def _first(split: EncodedSplit, count: int) -> EncodedSplit:
    return split if count >= len(split) else split.select(np.arange(count))


def _rows_within(split: EncodedSplit, subject: Subject) -> int:
    """Count the first rows whose sites can be kept for all layers."""
    offsets = site_offsets(split)
    if offsets is None:
        return len(split)
    most = SITE_NUMBERS // ((subject.layers + 1) * int(subject.model.config.hidden_size))
    return max(1, int(np.searchsorted(offsets, most, side="right")) - 1)
