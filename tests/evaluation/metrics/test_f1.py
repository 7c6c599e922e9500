import numpy as np
import pytest

from hf_mtl.evaluation.metrics.accuracy import Accuracy
from hf_mtl.evaluation.metrics.f1 import F1, F1Macro, F1Micro
from hf_mtl.evaluation.metrics.recall_macro import RecallMacro


def test_a_class_that_no_row_has_counts_zero():
    inputs = {"predictions": [0, 1], "references": [0, 1]}
    assert F1Macro(3).compute(**inputs)["f1_macro"] == pytest.approx(2 / 3)
    assert RecallMacro(4).compute(**inputs)["recall_macro"] == pytest.approx(1 / 2)


def test_f1_of_two_classes_is_that_of_class_one():
    inputs = {"predictions": [1, 0, 0, 0], "references": [1, 1, 0, 0]}
    assert F1(2).compute(**inputs) == {"f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize(("classes", "labels"), [(3, None), (3, []), (3, [3]), (2, [-1])])
def test_f1_refuses_classes_that_are_not_there(classes, labels):
    with pytest.raises(ValueError, match="labels"):
        F1(classes, labels=labels)


def test_f1_micro_equals_accuracy():
    rng = np.random.default_rng(0)
    inputs = {"predictions": rng.integers(0, 4, 50), "references": rng.integers(0, 4, 50)}
    assert F1Micro(4).compute(**inputs)["f1_micro"] == Accuracy(4).compute(**inputs)["accuracy"]
