"""Metrics of labels of which a row may have several, by hand."""

import math

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.f1 import F1Samples
from hf_mtl.evaluation.metrics.label_ranking_average_precision import LabelRankingAveragePrecision
from hf_mtl.evaluation.metrics.mean_average_precision import MeanAveragePrecision


def test_one_label_has_the_f1_of_its_rows() -> None:
    found = F1Samples(num_classes=1).compute(predictions=[[1], [0], [1]], references=[[1], [0], [0]])
    assert found == {"f1_samples": pytest.approx(2 / 3)}


def test_labels_that_no_row_has_are_left_out_and_without_any_there_is_no_precision() -> None:
    scores = np.array([[0.9, 0.3], [0.2, 0.6]])
    found = MeanAveragePrecision().compute(prediction_scores=scores, references=[[1, 0], [0, 0]])
    assert found == {"mean_average_precision": 1.0}
    with pytest.warns(UserWarning, match="undefined"):
        none = MeanAveragePrecision().compute(prediction_scores=scores, references=[[0, 0], [0, -100]])
    assert math.isnan(none["mean_average_precision"])


def test_a_row_of_one_known_label_ranks_it_first() -> None:
    metric = LabelRankingAveragePrecision()
    assert metric.compute(prediction_scores=[[0.1, 0.9]], references=[[1, -100]]) == {metric.key: 1.0}
    assert metric.compute(prediction_scores=[[0.1, 0.9]], references=[[1, 0]]) == {metric.key: 0.5}
    assert metric.compute(prediction_scores=[[0.1, 0.9]], references=[[0, -100]]) == {metric.key: 1.0}
