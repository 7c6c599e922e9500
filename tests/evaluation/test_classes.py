"""Scores of rows of one class each: what labels leave undefined, and models without an encoder."""

import numpy as np
import pytest

from hf_mtl.errors import DataError
from hf_mtl.evaluation.classes import class_ids, class_shares, linear_classes, undefined_of_classes
from hf_mtl.tasks import MetricSpec

NAMES = ["a", "b", "c"]


def test_the_classes_of_an_f1_are_ids() -> None:
    assert class_ids(MetricSpec(name="f1", labels=["c", 0]), NAMES, "k") == [2, 0]
    assert class_ids(MetricSpec(name="f1"), NAMES[:2], "k") is None
    with pytest.raises(DataError, match="unknown class 'd'"):
        class_ids(MetricSpec(name="f1", labels=["d"]), NAMES, "k")


@pytest.mark.parametrize(
    ("name", "labels", "rows", "what"),
    [
        ("auroc_macro", None, [1, 1], ["undefined"]),
        ("matthews", None, [1, 1], ["0 whatever is predicted"]),
        ("f1", ["c"], [0, 1], ["0 whatever is predicted"]),
        ("f1", ["c"], [0, 2], []),
        ("accuracy", None, [1, 1], []),
    ],
)
def test_metrics_that_need_other_rows_are_found(
    name: str, labels: list[str] | None, rows: list[int], what: list[str]
) -> None:
    found = undefined_of_classes(MetricSpec(name=name, labels=labels), NAMES, np.array(rows))
    assert [item[0] for item in found] == what


def test_a_class_without_rows_is_all_but_impossible() -> None:
    labels = np.array([0, 0, 2, 2])
    np.testing.assert_allclose(np.exp(class_shares(labels, 3)), [0.5, 0.0, 0.5], atol=1e-11)
    features = np.array([[1.0], [1.1], [-1.0], [-1.1]])
    found = linear_classes(features, labels, 3)(features)
    assert found.argmax(axis=1).tolist() == labels.tolist()
    assert (found[:, 1] < -20).all()
