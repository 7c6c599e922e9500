"""Simple models of outputs that are yes or no, each for itself: logits of shares, and logistic regressions."""

from collections.abc import Callable
from typing import Any

import numpy as np

UNKNOWN = -100
"""An answer that a row does not give: `hf_mtl.data.encoded.NO_CLASS`, without the import of datasets."""

_SURE = float(np.log(1e12))
"""The logit of what was always so: other rows may differ."""


def share_logits(answers: np.ndarray) -> np.ndarray:
    """Return the logit of the share of yes among the known answers to each question, [C]; of none it is that of no.

    Args:
        answers: 1, 0 or `UNKNOWN`, [n, C].
    """
    yes, no = (answers == 1).sum(axis=0), (answers == 0).sum(axis=0)
    with np.errstate(divide="ignore"):  # log 0 is clipped
        logits = np.log(yes) - np.log(np.maximum(no, 1e-12))
    found: np.ndarray = np.clip(logits, -_SURE, _SURE)
    return found


def linear_binaries(features: Any, answers: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Fit scikit-learn's `LogisticRegression` to each question: from features of m rows to logits [m, C].

    A question that all rows answer alike, or none, gets the constant of `share_logits`.

    Args:
        features: Of the training rows [n, F].
        answers: 1, 0 or `UNKNOWN`, [n, C].
    """
    from sklearn.linear_model import LogisticRegression

    constant = share_logits(answers)
    models = {}
    for question, column in enumerate(answers.T):
        known = np.flatnonzero(column != UNKNOWN)
        if len(np.unique(column[known])) == 2:
            models[question] = LogisticRegression(max_iter=1000).fit(features[known], column[known])

    def predict(features: Any) -> np.ndarray:
        outputs = np.tile(constant, (features.shape[0], 1))
        for question, model in models.items():
            outputs[:, question] = model.decision_function(features)
        return outputs

    return predict
