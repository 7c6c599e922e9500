"""The cost of a run under a schedule: as MT2ST's paper counts it, and as it was computed."""

import numpy as np
from numpy.typing import ArrayLike


def nominal_cost(primary: float, auxiliary: ArrayLike, coefficients: ArrayLike) -> float:
    """Compute MT2ST's Eq. 20, the sum over steps of C_0 + sum_k gamma_k C_k.

    A loss that counts little is computed all the same: this is what a run costs only where gamma_k is the probability
    that task k takes part in the step (``realise: sampling``), and then in expectation.

    Args:
        primary: Cost C_0 of the primary task in a step, in any unit.
        auxiliary: Cost C_k of each auxiliary task in a step, [K].
        coefficients: gamma_k in each step, [S, K].
    """
    gamma = np.asarray(coefficients, dtype=np.float64)
    return float(len(gamma) * primary + (gamma @ np.asarray(auxiliary, dtype=np.float64)).sum())


def executed_cost(primary: float, auxiliary: ArrayLike, coefficients: ArrayLike) -> float:
    """Return what is computed: the sum over steps of C_0 + sum_k C_k over the tasks with gamma_k > 0.

    The model of it, for given costs; `MultiTaskTrainer` logs the real one as ``flops``.

    Args:
        primary: Cost C_0 of the primary task in a step, in any unit.
        auxiliary: Cost C_k of each auxiliary task in a step, [K].
        coefficients: gamma_k in each step, [S, K].
    """
    return nominal_cost(primary, auxiliary, np.asarray(coefficients, dtype=np.float64) > 0)


def compression_rate(cost: float, reference: float) -> float:
    """Compute the share of a reference's cost that was saved, 1 - cost / reference; negative where it cost more.

    Args:
        cost: Cost of a method until the checkpoint that it selects.
        reference: Cost of single-task learning until the checkpoint that it selects.
    """
    return 1 - cost / reference
