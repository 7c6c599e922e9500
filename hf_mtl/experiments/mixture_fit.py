"""Fit of the tasks drawn to the probabilities of the mixture."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from hf_mtl.data.imbalance import share_distances


@dataclass(frozen=True)
class MixtureFit:
    """Distance of the realised shares of tasks q = counts / N from the target p.

    Args:
        total_variation: ½ Σ|q_t - p_t|, in [0, 1].
        kl_realised_target: Σ q_t log(q_t / p_t), nats.
        g_statistic: 2 N KL; χ² with T - 1 degrees of freedom if the rows were drawn independently. Systematic
            sampling does better than that.
        g_p_value: Probability of a larger G under independent draws.
    """

    total_variation: float
    kl_realised_target: float
    g_statistic: float
    g_p_value: float


def realised_vs_target(counts: Mapping[str, float], target: Mapping[str, float]) -> MixtureFit:
    """Compare the rows drawn of each task with the probabilities they were drawn with.

    A task with probability 0 and no row takes no part.

    Args:
        counts: Rows drawn of each task.
        target: Probability of each task, summing to 1.

    Raises:
        ValueError: If the tasks differ, no row was drawn, the target is no distribution, or rows were drawn of a
            task with probability 0.
    """
    if counts.keys() != target.keys():
        raise ValueError(f"counts of {sorted(counts)}, target of {sorted(target)}")
    n = np.array([counts[name] for name in target], dtype=np.float64)
    p = np.array([target[name] for name in target], dtype=np.float64)
    if (n < 0).any() or n.sum() <= 0:
        raise ValueError("counts must be non-negative, and one of them positive")
    if (p < 0).any() or abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"the target must be non-negative and sum to 1, found a sum of {p.sum()}")
    if impossible := [name for name in target if target[name] == 0 and counts[name] > 0]:
        raise ValueError(f"rows of tasks with probability 0: {', '.join(impossible)}")
    distance, kl = share_distances(n, p)
    g = 2 * float(n.sum()) * kl
    freedom = int((p > 0).sum()) - 1
    return MixtureFit(distance, kl, g, float(chi2.sf(g, freedom)) if freedom else 1.0)
