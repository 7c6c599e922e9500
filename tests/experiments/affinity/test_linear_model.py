import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge

from hf_mtl.experiments.affinity.linear_model import LinearRows, choose_ridge, fit
from hf_mtl.experiments.affinity.links import LINKS
from hf_mtl.tasks.learning import Family


def rows_of(family: Family, count: int = 40, width: int = 6, seed: int = 0, noise: float = 1.0) -> LinearRows:
    random = np.random.default_rng([seed, len(family)])
    slopes, truth = random.normal(size=(count, width)), np.linspace(1, -1, width)
    if family == "regression":
        numbers = slopes @ -truth + noise * random.normal(size=count)
    else:
        right = np.where(random.random(count) < 1 / (1 + np.exp(-slopes @ truth / noise)), 1.0, -1.0)
        slopes, numbers = slopes * right[:, None], 0.3 * random.normal(size=count)
    weights = random.uniform(0.5, 2, size=count)
    return LinearRows(numbers, slopes, weights / weights.sum(), LINKS[family])


def test_of_real_values_it_is_ridge_regression() -> None:
    rows = rows_of("regression")
    expected = Ridge(alpha=0.05, fit_intercept=False).fit(rows.slopes, -rows.numbers, sample_weight=rows.weights)
    assert fit([rows], 0.1) == pytest.approx(expected.coef_, abs=1e-6)


def test_of_classes_without_offsets_it_is_logistic_regression() -> None:
    rows = rows_of("classification")
    plain = LinearRows(np.zeros(len(rows)), rows.slopes, rows.weights, rows.link)
    both = np.concatenate([rows.slopes, -rows.slopes])
    model = LogisticRegression(C=1 / 0.2, fit_intercept=False, tol=1e-10)
    model.fit(both, np.repeat([1, 0], len(rows)), sample_weight=np.tile(rows.weights, 2))
    assert fit([plain], 0.1) == pytest.approx(model.coef_[0], abs=1e-5)


def test_mixed_groups_have_the_lowest_sum_of_losses() -> None:
    group = [rows_of("classification"), rows_of("regression"), rows_of("classification", seed=2)]

    def objective(shift: np.ndarray) -> float:
        return sum(rows.loss(shift) for rows in group) + 0.05 * float(shift @ shift)

    expected = minimize(objective, np.zeros(6), tol=1e-10)
    assert fit(group, 0.1) == pytest.approx(expected.x, abs=1e-4)


def test_rows_that_are_all_but_certain_do_not_throw_it() -> None:
    numbers = np.array([400.0, 60.0, -300.0, 35.0])
    rows = LinearRows(numbers, np.eye(4)[:, :2] + 0.1, np.full(4, 0.25), LINKS["classification"])
    shift = fit([rows], 1e-3)
    assert np.isfinite(shift).all()
    assert rows.loss(shift) <= rows.loss(np.zeros(2))


def test_the_ridge_is_larger_where_rows_teach_less() -> None:
    clear = choose_ridge([rows_of("regression", noise=0.01)], seed=0)
    noisy = choose_ridge([rows_of("regression", noise=30.0)], seed=0)
    assert clear < noisy
    assert choose_ridge([rows_of("regression", count=2)], seed=0) > 0
