"""Diagonal Gaussians: divergence, sampling, mixing, and what an affine map makes of their variance.

Log-variances are float32 whatever the model's precision: `bounded` is the way in.
"""

import math
from typing import Annotated, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

KLReduction: TypeAlias = Literal["mean", "sum"]
Coefficient: TypeAlias = Annotated[float, Field(ge=0)]
Width: TypeAlias = Annotated[int, Field(ge=1)]

LOG_VARIANCE_BOUND = 10.0


def bounded(log_variance: Tensor) -> Tensor:
    """Clip log-variances to [-10, 10], in float32: exp must neither overflow nor vanish."""
    return log_variance.float().clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)


@torch.no_grad()
def keep_bounded(log_variance: Tensor) -> None:
    """Bring learned log-variances back to [-10, 10], in place: beyond it `bounded` gives them no gradient."""
    log_variance.clamp_(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)


def sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Compute ``mean + exp(log_variance / 2) * noise`` in the precision of the arguments.

    Args:
        mean: Means [..., D].
        log_variance: Log-variances, broadcast to [..., D].
        noise: Standard normal numbers [..., D].
    """
    return mean + (log_variance / 2).exp() * noise


def standard_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, exp(log_variance)) || N(0, 1)) of every dimension, float32, in nats.

    Args:
        mean: Means [..., D].
        log_variance: Log-variances, broadcast to [..., D].
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def gaussian_kl(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, exp(log_variance)) || N(prior_mean, exp(prior_log_variance))) by dimension, in nats.

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
    """Reduce divergences [n, D] to one number per row [n]: the mean over dimensions, or their sum."""
    return divergence.mean(dim=-1) if reduction == "mean" else divergence.sum(dim=-1)


class Gaussian(NamedTuple):
    """Diagonal Gaussians, such as a head's latents: one of each row, or one for all.

    Args:
        mean: Means [..., D].
        log_variance: Log-variances [..., D], float32, within [-10, 10].
    """

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, features: Tensor, mean: nn.Module, log_variance: nn.Module) -> "Gaussian":
        """Decode the Gaussian of each row, in float32.

        Args:
            features: What a head sees [n, H].
            mean: Makes the means of it.
            log_variance: Makes the log-variances of it.
        """
        return cls(mean(features).float(), bounded(log_variance(features)))

    def sample(self, noise: Tensor) -> Tensor:
        """Draw with standard normal numbers [..., D]."""
        return sample(self.mean, self.log_variance, noise)

    def kl(self, reduction: KLReduction, prior: "Gaussian | None" = None) -> Tensor:
        """Measure the divergence from a prior, one number per row [n].

        Args:
            reduction: How dimensions are put together.
            prior: The prior; None: N(0, I).
        """
        each = standard_kl(*self) if prior is None else gaussian_kl(*self, *prior)
        return reduce_kl(each, reduction)


def gumbel_softmax(logits: Tensor, uniform: Tensor, temperature: Tensor | float) -> Tensor:
    """Draw mixing weights [N] ``softmax((log softmax(logits) - log(-log(uniform))) / temperature)``.

    Source: Jang et al. and Maddison et al., both ICLR 2017, arXiv:1611.01144 and arXiv:1611.00712.

    Args:
        logits: Unnormalised log-probabilities [N]; -inf leaves an element out, but not all of them.
        uniform: Uniform numbers in (0, 1), [N].
        temperature: Dimensionless; smaller is closer to a one-hot draw.
    """
    gumbel = -(-uniform.log()).log()
    return ((logits.log_softmax(dim=-1) + gumbel) / temperature).softmax(dim=-1)


def mixed_moments(weights: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance [D] of the weighted sum of N independent Gaussians, not of their mixture density.

    Args:
        weights: Weights [N].
        means: Means [N, D].
        variances: Variances [N, D].
    """
    # Sums of products, since autocast would bring a matrix product to a lower precision.
    factors = weights.unsqueeze(-1)
    return (factors * means).sum(dim=0), (factors**2 * variances).sum(dim=0)


def linear_variance(variance: Tensor, weight: Tensor) -> Tensor:
    """Return the variance [n, C] of an affine map of independent Gaussians, float32, under autocast too.

    Args:
        variance: Their variances [n, D].
        weight: The map's weight [C, D].
    """
    with torch.autocast(variance.device.type, enabled=False):
        return F.linear(variance.float(), weight.float() ** 2)


def log_bounds(low: float, high: float) -> tuple[float, float]:
    """Turn bounds of a positive number into bounds of its logarithm."""
    return math.log(low), math.log(high)
