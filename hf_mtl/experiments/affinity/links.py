"""The linear model of a row's loss, by the family of its task: a link makes of the loss a number that may be linear.

A row's loss ℓ is taken for ℓ = φ(m) of one number m, whose value and slope at the checkpoint are those of the model:
m(θ) = φ⁻¹(ℓ(θ)), ∇m = ∇ℓ / φ'(m). So the linear model m + ∇m·δ has the row's very loss and gradient at δ = 0, for
every type of task, at one backward a row, and its loss φ(m + ∇m·δ) is convex in δ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hf_mtl.tasks.learning import Family

Numbers = NDArray[np.float64]
LEAST = 1e-6
"""Losses below are taken for this: of a loss of 0 the link has no slope."""


class Link(Protocol):
    """What ties a row's loss ℓ to the number m that is linear in the parameters."""

    def number(self, losses: Numbers) -> Numbers:
        """Return m of losses [n]."""

    def loss(self, numbers: Numbers) -> Numbers:
        """Return φ(m)."""

    def slope(self, numbers: Numbers) -> Numbers:
        """Return φ'(m)."""

    def curvature(self, numbers: Numbers) -> Numbers:
        """Return φ''(m), 0 or more."""


@dataclass(frozen=True)
class LogOdds:
    """Of classes: exp(-ℓ) is the probability p of what is right, and m its log-odds; ℓ = log(1 + exp(-m)).

    A row of several decisions has the geometric mean of their probabilities for p: tokens, labels, or the ends of a
    span. Of two classes m is the difference of their logits, so that this is logistic regression.
    """

    def number(self, losses: Numbers) -> Numbers:
        """Return log p - log(1 - p)."""
        return np.asarray(-losses - np.log(-np.expm1(-losses)))

    def loss(self, numbers: Numbers) -> Numbers:
        """Return log(1 + exp(-m))."""
        return np.asarray(np.logaddexp(0.0, -numbers))

    def slope(self, numbers: Numbers) -> Numbers:
        """Return -(1 - p)."""
        return np.asarray(-expit(-numbers))

    def curvature(self, numbers: Numbers) -> Numbers:
        """Return p (1 - p)."""
        return np.asarray(expit(numbers) * expit(-numbers))


@dataclass(frozen=True)
class Residual:
    """Of real values: m is the residual of a single squared error, up to its sign, ℓ = m²: linear regression.

    Of several targets m is the length of the residual; of an absolute or a Huber loss the root of that loss.
    """

    def number(self, losses: Numbers) -> Numbers:
        """Return the root of the loss."""
        return np.sqrt(losses)

    def loss(self, numbers: Numbers) -> Numbers:
        """Return m²."""
        return np.square(numbers)

    def slope(self, numbers: Numbers) -> Numbers:
        """Return 2m."""
        return 2 * numbers

    def curvature(self, numbers: Numbers) -> Numbers:
        """Return 2."""
        return np.full_like(numbers, 2.0)


LINKS: Mapping[Family, Link] = {"classification": LogOdds(), "regression": Residual()}
