"""Diagonal Gaussians: their KL divergence, in float32 whatever the model's precision."""

import math
from typing import Literal, TypeAlias

from torch import Tensor

KLReduction: TypeAlias = Literal["mean", "sum"]

LOG_VARIANCE_BOUND = 10.0


def bounded(log_variance: Tensor) -> Tensor:
    """Log-variances in float32, clipped to [-10, 10]: exp must neither overflow nor vanish."""
    return log_variance.float().clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)


def standard_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of every dimension, float32, in nats.

    Args:
        mean: Means [..., D].
        log_variance: Log-variances [..., D].
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def gaussian_kl(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(prior_mean, exp(prior_log_variance))) of every dimension, in nats.

    Args:
        mean: Means [..., D].
        log_variance: Log-variances [..., D].
        prior_mean: Means of the prior, broadcast to [..., D].
        prior_log_variance: Log-variances of the prior, broadcast to [..., D].
    """
    difference = (mean - prior_mean) ** 2 * (-prior_log_variance).exp()
    ratio = log_variance - prior_log_variance
    return 0.5 * (difference + ratio.exp() - 1 - ratio)


def reduce_kl(divergence: Tensor, reduction: KLReduction) -> Tensor:
    """Divergences [n, D] to one number per row [n]: the mean over dimensions, or their sum."""
    return divergence.mean(dim=-1) if reduction == "mean" else divergence.sum(dim=-1)


def log_bounds(low: float, high: float) -> tuple[float, float]:
    """Bounds of a positive number as bounds of its logarithm."""
    return math.log(low), math.log(high)
