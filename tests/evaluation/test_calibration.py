import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from hf_mtl import SequenceClassification
from hf_mtl.evaluation import calibration_temperature, expected_calibration_error, reliability_bins, score_task
from hf_mtl.evaluation.metrics.ece import ECE


def _rows(count, classes, seed=0, scale=2.0):
    """Logits and labels that are drawn from their softmax: calibrated."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(count, classes))
    return logits, np.array([rng.choice(classes, p=row) for row in softmax(logits, axis=1)])


def _ece_by_rows(logits, labels, bins):
    """The definition, bin by bin and row by row."""
    probabilities = softmax(logits, axis=1)
    total = 0.0
    for index in range(bins):
        inside = [
            (row.max(), float(row.argmax() == label))
            for row, label in zip(probabilities, labels, strict=True)
            if index / bins < row.max() <= (index + 1) / bins
        ]
        if inside:
            confidence, accuracy = np.mean(inside, axis=0)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("classes", [2, 3, 11])
def test_the_error_is_that_of_the_definition(classes, bins):
    logits, labels = _rows(200, classes)
    expected = _ece_by_rows(3 * logits, labels, bins)
    assert expected_calibration_error(3 * logits, labels, bins) == pytest.approx(expected, rel=1e-12)
    found = ECE(classes, bins=bins).compute(prediction_scores=softmax(3 * logits, axis=1), references=labels)
    assert found == {"ece": pytest.approx(expected, rel=1e-12)}


def test_the_bins_are_those_of_scikit_learn():
    logits, labels = _rows(300, 4)
    probabilities = softmax(logits, axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(int)
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=15)
    found = reliability_bins(logits, labels)
    filled = found.count > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[filled], confidence, rtol=1e-12)
    assert found.count.sum() == 300


def test_an_error_by_hand():
    # Confidences .6, .6 and .9 in three bins of 1/5: (.4, .6], (.4, .6] and (.8, 1].
    logits = np.log([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]])
    found = reliability_bins(logits, [0, 1, 0], bins=5)
    assert found.count.sum() == 3
    assert found.count[4] == 1
    # Both of .6 are in one bin, with accuracy 1/2; the row of .9 is wrong.
    assert found.error == pytest.approx(2 / 3 * 0.1 + 1 / 3 * 0.9)


def test_bins_hold_their_upper_edge():
    found = reliability_bins([[0.0, 0.0], [50.0, 0.0]], [0, 0], bins=2)
    assert found.count.tolist() == [1, 1]
    assert found.confidence.tolist() == [0.5, 1.0]


def test_an_empty_bin_is_nan_and_counts_nothing():
    found = reliability_bins([[2.0, 0.0]], [0])
    assert np.isnan(found.accuracy).sum() == 14
    assert found.error == pytest.approx(1 - softmax([2.0, 0.0]).max())


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 40), st.integers(1, 20))
def test_the_error_is_a_share_at_least_that_of_one_bin(seed, classes, count, bins):
    logits, labels = _rows(count, classes, seed)
    found = expected_calibration_error(logits, labels, bins)
    # 1e-12: rounding of means. The triangle inequality: splitting a bin never lowers the error.
    assert expected_calibration_error(logits, labels, 1) - 1e-12 <= found <= 1


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_undoes_a_factor(classes, factor):
    logits, labels = _rows(4000, classes)
    found = calibration_temperature(factor * logits, labels)
    assert found == pytest.approx(factor, rel=0.1)  # two to three standard errors of 4000 rows
    # Relative to the unscaled fit it is exact, but for the optimizer's tolerance.
    assert found == pytest.approx(factor * calibration_temperature(logits, labels), rel=1e-6)


def test_the_temperature_has_the_smallest_loss_and_mends_the_error():
    logits, labels = _rows(500, 3)
    logits = 3 * logits

    def nll(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(500), labels].mean()

    best = calibration_temperature(logits, labels)
    assert all(nll(best) < nll(other) for other in (0.9 * best, 0.999 * best, 1.001 * best, 1.1 * best, 1.0))
    before, after = (expected_calibration_error(logits / value, labels) for value in (1.0, best))
    assert after < before / 2


def test_the_temperature_stays_in_its_range_where_there_is_no_optimum():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_temperature(logits, [0, 1]) == 0.05
    assert calibration_temperature(1e4 * logits, [0, 1]) == 0.05
    assert calibration_temperature(logits, [1, 0]) == pytest.approx(20.0, rel=1e-6)
    # Logits that say nothing: any temperature will do.
    assert 0.05 <= calibration_temperature(np.zeros((3, 2)), [0, 1, 1]) <= 20


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0.0], [0.0, 1e4], [1e4, 0.0]])
    assert np.isfinite(calibration_temperature(logits, [0, 1, 1]))
    assert expected_calibration_error(logits, [0, 1, 1]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), [], "found \\(0, 2\\)"),
        (np.zeros((2, 2)), [0], "found \\(2, 2\\) and \\(1,\\)"),
        ([[np.nan, 0.0]], [0], "not finite"),
        ([[0.0, 0.0]], [2], "from 0 to 1"),
        ([[0.0, 0.0]], [-100], "from 0 to 1"),
    ],
)
@pytest.mark.parametrize("function", [reliability_bins, calibration_temperature])
def test_what_cannot_be_calibrated_is_refused(function, logits, labels, message):
    with pytest.raises(ValueError, match=message):
        function(logits, labels)


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="1 or more, found 0"):
        reliability_bins([[0.0, 1.0]], [0], bins=0)
    with pytest.raises(ValueError, match="1 or more, found 0"):
        ECE(2, bins=0)


def test_a_task_is_scored_with_it_beside_others():
    logits, labels = _rows(100, 3)
    task = SequenceClassification(labels=["a", "b", "c"], metrics=["f1_macro", "ece"])
    scores = score_task(task, "t", logits, labels)
    assert list(scores) == ["f1_macro", "ece"]
    assert scores["ece"] == pytest.approx(expected_calibration_error(logits, labels))


def test_importing_does_not_import_scipy():
    code = "import sys, hf_mtl.evaluation.calibration; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_temperature_of_soft_labels_is_that_of_their_mean_likelihood() -> None:
    random = np.random.default_rng(5)
    shares = random.dirichlet(np.ones(3), size=200)
    assert calibration_temperature(2.5 * np.log(shares), shares) == pytest.approx(2.5, rel=1e-4)
    logits, classes = random.normal(size=(200, 3)), random.integers(0, 3, size=200)
    sure = np.eye(3)[classes]
    assert calibration_temperature(logits, sure) == pytest.approx(calibration_temperature(logits, classes), rel=1e-6)
    assert calibration_temperature(10 * sure, sure) == 0.05
    assert calibration_temperature(np.log(shares), 0.5 * shares + 0.5 / 3) > 1.2
