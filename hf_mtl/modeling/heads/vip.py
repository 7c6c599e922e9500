"""The variance-invariant probabilistic head of VIP-MTL."""

from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from hf_mtl.modeling.gaussian import Gaussian, KLReduction, bounded, log_bounds
from hf_mtl.modeling.heads.base import Decoded, Dropout, Head, Penalty, head_dropout, register
from hf_mtl.modeling.heads.layers import Hidden, perceptron
from hf_mtl.modeling.heads.plain_form import PlainForm
from hf_mtl.modeling.noise import Noise
from hf_mtl.signatures import OnlyWith
from hf_mtl.tasks import Task
from hf_mtl.tasks.learning import Family

Coefficient: TypeAlias = Annotated[float, Field(ge=0)]
Gamma: TypeAlias = Coefficient | dict[Family, Coefficient]
TauObjective: TypeAlias = Literal["literal", "matched"]

DEFAULT_GAMMA: dict[Family, float] = {"classification": 1.0, "regression": 0.1}
PAPER_GAMMA: dict[Family, float] = {"classification": 10.0, "regression": 0.1}
LOG_TAU_BOUNDS = log_bounds(0.1, 10.0)


@register("vip")
class VIPHead(Head):
    """Decodes features into a Gaussian per row, normalised by one learned variance tau per task.

    While training, one sample ``z = mu + sqrt(Sigma) eps`` per row is divided by ``sqrt(tau)``; the loss gets
    ``beta KL(N(mu, Sigma) || N(0, I)) + gamma log tau``. It predicts ``mu / sqrt(tau)`` (classes) or ``mu``
    (targets), without sampling, at the cost of an ``mlp`` head.

    Source: Hu et al., "Impartial Multi-task Representation Learning via Variance-invariant Probabilistic Decoding"
    (VIP-MTL), Eq. 1, 4 and 6. Where the paper is ambiguous: the KL is that of the unnormalised posterior, as Eq. 1
    prints it; it is averaged over dimensions, since tasks have from 2 to 28; a regression's residual, not its
    prediction alone, is divided by sqrt(tau), as the paper's text on the scale of the loss says.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        beta: Factor of the KL.
        gamma: Factor of log tau: a number, or one per family of tasks, ``classification`` and ``regression``.
        hidden: Width of the hidden layer of each of the two networks; None: H. 0: affine.
        dropout: Probability; None: the backbone's own.
        tau_objective: ``literal``: gamma log tau, which has no lower bound: scaling mu, sqrt(Sigma) and sqrt(tau)
            down together leaves the prediction as it is, and only the range of tau, [0.1, 10], holds it. ``matched``
            (not in the paper): gamma/2 (r - 1 - log r) with r = mean Sigma / tau, which is least where Eq. 5 holds.
        variance_normalization: False: tau is 1 and has no term (the paper's "w/o VI").
        kl_reduction: ``mean`` over dimensions, or their ``sum``.
        sampling: False: the loss sees mu itself, and the KL is only a penalty (an ablation that the paper lacks).
        preset: ``paper``: the paper's gamma, 10 for classes and 0.1 for targets, where gamma is left at its default.
            The paper's beta depends on benchmark and backbone; the recipes have it.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    stochastic: ClassVar[bool] = True
    in_float32: ClassVar[tuple[str, ...]] = ("log_tau",)

    only_with: ClassVar[OnlyWith] = {
        "gamma": ("variance_normalization", (True,)),
        "tau_objective": ("variance_normalization", (True,)),
    }

    def __init__(
        self,
        features: int,
        task: Task,
        config: PreTrainedConfig,
        *,
        beta: Coefficient = 0.01,
        gamma: Gamma = DEFAULT_GAMMA,
        hidden: Hidden = None,
        dropout: Dropout = None,
        tau_objective: TauObjective = "literal",
        variance_normalization: bool = True,
        kl_reduction: KLReduction = "mean",
        sampling: bool = True,
        preset: Literal["paper"] | None = None,
    ):
        super().__init__(features, task, config)
        self.real_valued = task.real_valued
        self.beta = beta
        if preset == "paper" and gamma == DEFAULT_GAMMA:
            gamma = PAPER_GAMMA
        self.gamma = gamma.get(task.family, DEFAULT_GAMMA[task.family]) if isinstance(gamma, dict) else gamma
        self.tau_objective = tau_objective
        self.kl_reduction: KLReduction = kl_reduction
        self.sampling = sampling
        probability = head_dropout(dropout, config)
        self.mean = perceptron(features, self.outputs, hidden, probability)
        self.log_variance = perceptron(features, self.outputs, hidden, probability)
        self.log_tau = nn.Parameter(torch.zeros(())) if variance_normalization else None
        self.penalty_names = ("kl", "log_tau") if variance_normalization else ("kl",)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to what is predicted [n, C]: normalised means of classes, means of targets."""
        mean = self.mean(features).float()
        found: Tensor = mean if self.real_valued else mean * self._inverse_deviation()
        return found

    def decode(self, features: Tensor, noise: Noise) -> Decoded:
        """Sample once per row, and say what the distribution costs."""
        posterior = Gaussian.of(features, self.mean, self.log_variance)
        outputs = posterior.sample(noise.normal(self.outputs)) if self.sampling else posterior.mean
        scale = self._inverse_deviation()
        penalties = self._penalties(posterior)
        if self.real_valued:
            return Decoded(outputs, scale, penalties)
        return Decoded(outputs * scale, None, penalties)

    def plain_form(self) -> PlainForm:
        """Give the network of mu, divided by sqrt(tau) for classes."""
        form = PlainForm.of_layers(self.mean)
        return form if self.real_valued else form.scaled(self._inverse_deviation())

    def variance(self, features: Tensor) -> Tensor:
        """Return Sigma for targets and Sigma / tau for classes [n, C], as the outputs are normalised."""
        variance = bounded(self.log_variance(features)).exp()
        return variance if self.real_valued else variance * self._inverse_deviation() ** 2

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return log tau: its term has the derivative gamma, for which clipping would shrink all other gradients."""
        return [] if self.log_tau is None else [self.log_tau]

    def end_step(self, sums: Tensor | None) -> None:
        """Bring tau back to its range."""
        if self.log_tau is not None:
            with torch.no_grad():
                self.log_tau.clamp_(*LOG_TAU_BOUNDS)

    def gauges(self) -> dict[str, Tensor]:
        """Return tau, and whether it sits on a bound of its range."""
        if self.log_tau is None:
            return {}
        log_tau = self.log_tau.detach().float()
        low, high = LOG_TAU_BOUNDS
        at_bound = (log_tau <= low + 1e-6) | (log_tau >= high - 1e-6)
        return {"tau": log_tau.exp(), "tau_at_bound": at_bound.float()}

    def reset(self) -> None:
        """Set tau to 1."""
        if self.log_tau is not None:
            init.zeros_(self.log_tau)

    def _inverse_deviation(self) -> Tensor:
        """Return 1 / sqrt(tau), float32 scalar."""
        if self.log_tau is None:
            return torch.ones((), device=next(self.mean.parameters()).device)
        return (-self.log_tau.float() / 2).exp()

    def _penalties(self, posterior: Gaussian) -> dict[str, Penalty]:
        divergence = posterior.kl(self.kl_reduction)
        penalties = {"kl": Penalty(divergence, self.beta)}
        if self.log_tau is not None:
            literal = self.tau_objective == "literal"
            term = self.log_tau.float() if literal else self._mismatch(posterior.log_variance.detach().exp())
            penalties["log_tau"] = Penalty(term.expand_as(divergence), self.gamma)
        return penalties

    def _mismatch(self, variance: Tensor) -> Tensor:
        """Compute (r - 1 - log r) / 2 with r = variance / tau, one value per row [n].

        The derivative is linear in the variance, so that rows of different micro-batches add up to the step's; the
        logarithm of the mean variance, a constant, is that of the micro-batch.
        """
        assert self.log_tau is not None
        log_tau = self.log_tau.float()
        ratio = variance.mean(dim=-1) * (-log_tau).exp()
        return 0.5 * (ratio - 1 - (variance.mean().log() - log_tau))
