"""Steps between ordered classes: their loss, the probabilities they make, and what is predicted of them."""

import math

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset
from scipy.special import expit

from hf_mtl import OrdinalClassification
from hf_mtl.evaluation import baseline_outputs, score_task
from hf_mtl.tasks import MetricSpec
from tests.task_types.sample import Sample, texts, weighted

NAMES = ["low", "mid", "high", "top"]
TASK = OrdinalClassification(labels=NAMES)
# P(y > k | y > k-1) of 0.9, 0.5 and 0.25: classes of 0.1, 0.45, 0.3375 and 0.1125.
RAW = np.log([[9.0, 1.0, 1 / 3]])


def sample_rows(count: int) -> Dataset:
    found, share = texts(count)
    return Dataset.from_dict({"text": found, "label": np.array(NAMES)[(share * 4).astype(int)]})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    onward = expit(outputs)
    found = []
    for row, label in zip(onward, labels, strict=True):
        stopped = [] if label == len(row) else [1 - row[label]]
        found.append(-np.log(np.prod([*row[:label], *stopped])))
    return np.array(found)


SAMPLE = Sample(TASK, sample_rows, sample_loss)
VARIANTS = {"weighted": weighted(SAMPLE, weighted_metrics=True)}


def test_probabilities_are_those_by_hand_and_the_loss_is_that_of_the_row_s_class() -> None:
    expected = [0.1, 0.45, 0.3375, 0.1125]
    np.testing.assert_allclose(TASK.class_probabilities(RAW), [expected])
    np.testing.assert_allclose(TASK.exceeding(RAW), [[0.9, 0.45, 0.1125]])
    np.testing.assert_allclose(TASK.expected_ranks(RAW), [0.9 + 0.45 + 0.1125])
    losses = TASK.row_losses(torch.from_numpy(np.tile(RAW, (4, 1))), torch.arange(4))
    np.testing.assert_allclose(losses, [-math.log(value) for value in expected], rtol=1e-6)


def test_the_median_and_the_mean_are_predicted() -> None:
    assert TASK.predictions(RAW).tolist() == [1]
    assert TASK.model_copy(update={"predict": "mean"}).predictions(RAW).tolist() == [1]
    # 0.45 for the lowest, and 0.55 for the highest: the mean is 1.65.
    far = np.array([[math.log(0.55 / 0.45), 30.0, 30.0]])
    assert TASK.predictions(far).tolist() == [3]
    assert OrdinalClassification(labels=NAMES, predict="mean").predictions(far).tolist() == [2]


def test_probabilities_fall_with_the_rank_whatever_the_outputs_are() -> None:
    raw = np.random.default_rng(0).normal(scale=200, size=(500, 3))
    exceeding = TASK.exceeding(raw)
    assert (np.diff(exceeding, axis=1) <= 0).all()
    np.testing.assert_allclose(TASK.class_probabilities(raw).sum(axis=1), 1)


def test_steps_to_which_a_row_has_not_come_have_no_gradient() -> None:
    outputs = torch.tensor([[0.3, -0.2, math.inf], [0.3, -0.2, 0.1]], requires_grad=True)
    TASK.row_losses(outputs, torch.tensor([1, 3])).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 2] == 0
    assert (outputs.grad[1] != 0).all()
    assert torch.isfinite(outputs.grad).all()


def test_scores_are_of_ranks() -> None:
    metrics = ["quadratic_weighted_kappa", "mae", "accuracy", {"name": "f1", "labels": ["top"]}]
    task, labels = OrdinalClassification(labels=NAMES, metrics=metrics), np.array([0, 1, 2, 3])
    raw = task.perfect_outputs(np.array([0, 1, 2, 1]))
    scores = score_task(task, "t", raw, labels)
    assert scores == pytest.approx({"quadratic_weighted_kappa": 1 - 4 / 8, "mae": 0.5, "accuracy": 0.75, "f1": 0.0})


def test_of_two_classes_there_is_one_step() -> None:
    task = OrdinalClassification(labels=2)
    assert (task.num_outputs, task.output_names, task.label_names) == (1, ["> LABEL_0"], ["LABEL_0", "LABEL_1"])
    assert task.predictions(np.array([[-1.0], [1.0]])).tolist() == [0, 1]


def test_classes_of_which_nothing_is_known_are_mistakes_before_a_model_is_built() -> None:
    assert [str(item).split(".")[1] for item in OrdinalClassification().unknown_outputs("t")] == ["t"]
    with pytest.raises(ValueError, match="the classes are not known"):
        _ = OrdinalClassification().num_outputs


def test_kappa_of_rows_of_one_class_is_said_to_say_nothing() -> None:
    [said] = TASK.undefined(MetricSpec(name="quadratic_weighted_kappa"), np.array([2, 2]))
    assert said[:2] == ("0 whatever is predicted, or undefined", "all are of class 'high'")
    assert not list(TASK.undefined(MetricSpec(name="quadratic_weighted_kappa"), np.array([2, 1])))


def test_the_constant_baseline_has_the_shares_of_the_classes() -> None:
    labels = np.array([0, 0, 0, 1, 3, 3])
    constant = TASK.constant_outputs(labels)[np.newaxis]
    np.testing.assert_allclose(TASK.class_probabilities(constant), [[1 / 2, 1 / 6, 0, 1 / 3]], atol=1e-9)
    found = baseline_outputs(TASK, ["a b"] * 6, np.zeros(6, dtype=int), ["c d"])
    assert TASK.predictions(found["tfidf"]).tolist() == [0]


def test_ranks_found_in_the_data_say_which_they_leave_out() -> None:
    train = Dataset.from_dict({"text": ["a"] * 4, "label": [1, 2, 5, 5]})
    given = OrdinalClassification()
    task = given.resolve("t", {"train": train})
    assert task.labels == ["1", "2", "5"]
    assert task.encode("t", "train", train)[0].tolist() == [0, 1, 2, 2]
    [said] = task.label_notes("t", train, given)
    assert said == "t: the ranks of 'label' leave out 3, 4; if these are ranks too, give labels."
    named = OrdinalClassification(labels=["1", "2", "5"])
    assert not any("leave out" in note for note in named.label_notes("t", train, named))


def test_the_names_of_a_class_label_are_put_in_the_order_that_is_given() -> None:
    rows = Dataset.from_dict({"label": [0, 1, 2]}).cast_column("label", ClassLabel(names=["high", "low", "mid"]))
    task = OrdinalClassification(labels=["low", "mid", "high"]).resolve("t", {"train": rows})
    assert task.encode("t", "train", rows)[0].tolist() == [2, 0, 1]


def test_a_model_that_predicts_one_class_is_said_to() -> None:
    outputs = TASK.outputs_of(np.tile(RAW, (3, 1)))
    assert list(TASK.sameness(outputs, np.array([0, 1, 2]))) == ["all 3 rows are predicted 'mid'."]
    assert not list(TASK.sameness(outputs, np.array([1, 1, 1])))
