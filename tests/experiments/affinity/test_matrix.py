import numpy as np
import pytest

from hf_mtl.experiments.affinity.matrix import AffinityMatrix, error_of_sum, mean_and_error


def test_pairs_are_ordered_and_without_the_diagonal() -> None:
    found = AffinityMatrix(("a", "b"), np.array([[9.0, 1.0], [2.0, 9.0]]), np.zeros((2, 2)), "lookahead")
    assert found.pairs == {("a", "b"): 1.0, ("b", "a"): 2.0}


def test_the_error_of_a_mean_is_that_of_the_samples_and_unknown_of_one() -> None:
    mean, error = mean_and_error([np.array([[1.0]]), np.array([[3.0]])])
    assert mean.tolist() == [[2.0]]
    assert error[0, 0] == pytest.approx(np.sqrt(2) / np.sqrt(2))
    assert np.isnan(mean_and_error([np.ones((1, 1))])[1]).all()


def test_the_error_of_a_sum_is_that_of_the_samples_sums() -> None:
    samples = [np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0, 3.0], [-3.0, 0.0]])]
    assert error_of_sum(samples, np.array([[0.0, 1.0], [1.0, 0.0]])) == 0  # they move together
    assert error_of_sum(samples, np.array([[0.0, 1.0], [0.0, 0.0]])) == pytest.approx(1.0)
    assert np.isnan(error_of_sum(samples[:1], np.ones((2, 2))))
