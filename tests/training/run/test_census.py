"""What is in the splits of a task, counted by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl import MultiLabelClassification, Regression, SequenceClassification, TokenClassification
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.text_keys import text_keys
from hf_mtl.reporting.plan import SplitCensus
from hf_mtl.tasks import Task
from hf_mtl.training.run.census import take_census

TOPIC = SequenceClassification(labels=["a", "b", "c"])


def loaded(task: Task, **splits: Sequence[tuple[Any, ...]]) -> LoadedTask:
    """Rows of texts and labels, as loading leaves them."""
    columns = [*task.text_columns, *task.label_columns]
    datasets = {
        split: Dataset.from_dict(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
        for split, rows in splits.items()
    }
    keys = {split: text_keys(task, dataset) for split, dataset in datasets.items()}
    return LoadedTask(task, splits=datasets, notes=[], keys=keys)


def test_classes_are_counted_by_split() -> None:
    train = [("x", "a"), ("y", "a"), ("z", "b")]
    found = take_census("t", loaded(TOPIC, train=train, validation=[("v", "c"), ("w", "a")]))
    assert found.classes == {
        "a": {"train": 2, "validation": 1},
        "b": {"train": 1, "validation": 0},
        "c": {"train": 0, "validation": 1},
    }
    assert found.splits == {"train": SplitCensus(3), "validation": SplitCensus(2, shared={"train": 0})}
    assert all(split.is_plain for split in found.splits.values())
    assert not found.weighted


def test_texts_that_come_again_are_counted_within_and_between_splits() -> None:
    train = [("x", "a"), ("X ", "a"), ("x", "a"), ("y", "a"), ("z", "b")]
    validation = [("x", "a"), ("Y", "b"), ("new", "a")]
    test = [("new", "a"), ("new", "c"), ("other", "a"), ("z", "b")]
    found = take_census("t", loaded(TOPIC, train=train, validation=validation, test=test)).splits
    assert found == {
        "train": SplitCensus(5, repeated=2, relabelled=1),
        "validation": SplitCensus(3, shared={"train": 2}, relabelled=2),
        "test": SplitCensus(4, repeated=1, shared={"train": 1, "validation": 2}, relabelled=2),
    }
    assert not any(split.is_plain for split in found.values())


def test_pairs_are_the_same_in_either_order_and_targets_differ_in_any() -> None:
    pairs = take_census(
        "t", loaded(SequenceClassification(text=["p", "q"], labels=2), train=[("a", "b", 0), ("b", "a", 1)])
    )
    assert pairs.splits == {"train": SplitCensus(2, repeated=1, relabelled=2)}
    scores = Regression(text="t", label=["u", "v"])
    rows = [("a", 1.0, 2.0), ("a", 1.0, 2.5), ("b", 0.5, 0.5), ("b", 0.5, 0.5), ("c", 2.0, 1.0)]
    found = take_census("t", loaded(scores, train=rows))
    assert found.splits == {"train": SplitCensus(5, repeated=2, relabelled=2)}
    assert found.classes == {}


def test_the_counts_are_those_of_a_slow_count() -> None:
    random = np.random.default_rng(0)
    rows = {
        split: [(f"w{random.integers(40)}", "abc"[random.integers(3)]) for _ in range(size)]
        for split, size in (("train", 50), ("validation", 20), ("test", 20))
    }
    found = take_census("t", loaded(TOPIC.model_copy(update={"class_weights": "balanced"}), **rows))
    everything = [row for part in rows.values() for row in part]
    labels = {text: {label for other, label in everything if other == text} for text, _ in everything}
    before: dict[str, set[str]] = {}
    for split, part in rows.items():
        texts = [text for text, _ in part]
        assert found.splits[split].repeated == len(texts) - len(set(texts))
        assert found.splits[split].shared == {name: sum(t in its for t in texts) for name, its in before.items()}
        assert found.splits[split].relabelled == sum(len(labels[text]) > 1 for text in texts)
        before[split] = set(texts)
    assert found.weighted


def test_labels_of_which_rows_do_not_tell_are_counted_apart() -> None:
    task = MultiLabelClassification(label=["a", "b"], positive_weight="balanced")
    train = [("x", 1, None), ("y", 0, 1), ("z", 1, None)]
    found = take_census("t", loaded(task, train=train, validation=[("v", 1, 1), ("w", 0, 0)]))
    assert found.classes == {"a": {"train": 2, "validation": 1}, "b": {"train": 1, "validation": 1}}
    assert found.unknown == {"b": {"train": 2, "validation": 0}}
    assert (found.weighted, found.weights_key) == (True, "positive_weight")


def test_labels_of_splits_whose_longest_rows_differ_are_compared() -> None:
    task = TokenClassification(labels=["O", "A"])
    train = [(["x", "y"], ["A", "O"]), (["x", "z", "x"], ["O", "O", "O"]), (["v"], ["A"])]
    found = take_census("t", loaded(task, train=train, validation=[(["x", "y"], ["O", "O"]), (["v"], ["A"])]))
    assert found.splits["validation"] == SplitCensus(2, shared={"train": 2}, relabelled=1)
