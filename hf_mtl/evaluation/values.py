"""Simple models of real targets, of which a row may not have all."""

from collections.abc import Callable
from typing import Any

import numpy as np


def linear_values(features: Any, targets: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Fit scikit-learn's `Ridge` to each target: from features of m rows to predictions [m, D].

    Args:
        features: Of the training rows [n, F].
        targets: Float [n, D], NaN where not given.
        constant: The prediction of a target that no row has, [D].
    """
    from sklearn.linear_model import Ridge

    given = ~np.isnan(targets)
    # Rows that all have the same targets are one problem with several right sides.
    together = [np.flatnonzero(given.all(axis=0))]
    alone = [np.array([target]) for target in np.flatnonzero(given.any(axis=0) & ~given.all(axis=0))]
    models = []
    for columns in [*together, *alone]:
        if len(columns):
            rows = np.flatnonzero(given[:, columns[0]])
            models.append((columns, Ridge().fit(features[rows], targets[np.ix_(rows, columns)])))

    def predict(features: Any) -> np.ndarray:
        outputs = np.tile(constant, (features.shape[0], 1))
        for columns, model in models:
            outputs[:, columns] = np.asarray(model.predict(features)).reshape(-1, len(columns))
        return outputs

    return predict
