"""Variational latents and classifiers whose priors come from the other tasks."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from hf_mtl.modeling.gaussian import (
    Coefficient,
    Gaussian,
    KLReduction,
    Width,
    bounded,
    gaussian_kl,
    gumbel_softmax,
    keep_bounded,
    linear_variance,
    mixed_moments,
    reduce_kl,
)
from hf_mtl.modeling.heads.base import Decoded, Dropout, Head, Penalty, head_dropout, register
from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from hf_mtl.modeling.moments import RunningMoments
from hf_mtl.modeling.noise import Noise
from hf_mtl.tasks import Task

Temperature: TypeAlias = Annotated[float, Field(gt=0)]

# The authors' code: weights from N(0, 0.1^2), noise of deviation softplus(-3), about half of that.
WEIGHT_DEVIATION = 0.1
LOG_VARIANCE_AT_FIRST = 2 * math.log(math.log1p(math.exp(-3)))
LATENT_LOG_VARIANCE_AT_FIRST = -3.0  # so that the noise of the latents, too, is about half of what mu is at first


@register("vmtl")
class VMTLHead(Head):
    """Products of a Gaussian latent ``z ~ N(mu(h), Sigma(h))`` and Gaussian weights ``W ~ N(M, S)``, one row of W per
    output, with priors that mix what the other tasks with this head have learned.

    While training, z is sampled once per row and W once per step. The loss gets ``latent_beta KL`` of each row's z
    and ``weight_beta KL`` of W, the latter once per step and task. Both priors are N(0, I) in the first steps, and
    where no other task has been seen. Then they have the moments of a weighted sum of the other tasks' Gaussians,
    with weights ``softmax((log softmax(pi) + Gumbel) / T)`` drawn once per step, whose pi is learned. No gradient
    reaches the other tasks. It predicts ``mu M^T``, at the cost of an ``mlp`` head.

    Source: Shen et al., "Variational Multi-Task Learning with Gumbel-Softmax Priors", NeurIPS 2021,
    arXiv:2111.05323, and autumn9999/VMTL: model_vmtl.py. As that code does, moments of a weighted sum are taken
    where the paper mixes densities. Departs from both, since tasks here share neither labels nor inputs: the latents
    of another task are summarised by their mean and variance over its examples of about the last hundred steps, not
    by examples of the same class; its weights by the mean and variance of a weight vector drawn with its class. The
    latents' network is the task's own, and one sample of W serves all rows of a step. There are no biases in W.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dim: Width D of the latent; None: H.
        latent_beta: Factor of the latents' KL.
        weight_beta: Factor of the weights' KL.
        warmup_steps: Optimizer steps with rows of the task that have N(0, I) priors, during which both factors rise
            linearly to their values.
        anneal_steps: Steps with rows of the task, after these, in which T changes linearly.
        temperature: T at first and at last, dimensionless; smaller makes fewer tasks matter.
        dropout: Probability on h; None: the backbone's own.
        kl_reduction: ``sum`` over dimensions (of W: and outputs), as in the authors' code, for which factors of 1e-6
            are meant, or their ``mean``.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    stochastic: ClassVar[bool] = True
    knows_peers: ClassVar[bool] = True
    in_float32: ClassVar[tuple[str, ...]] = ("weight_log_variance", "latent_logits", "weight_logits")
    penalty_names = ("kl", "weight_kl")

    def __init__(
        self,
        features: int,
        task: Task,
        config: PreTrainedConfig,
        *,
        dim: Width | None = None,
        latent_beta: Coefficient = 1e-6,
        weight_beta: Coefficient = 1e-6,
        warmup_steps: Annotated[int, Field(ge=0)] = 100,
        anneal_steps: Annotated[int, Field(ge=1)] = 1000,
        temperature: tuple[Temperature, Temperature] = (1.0, 0.5),
        dropout: Dropout = None,
        kl_reduction: KLReduction = "sum",
    ):
        super().__init__(features, task, config)
        self.betas = (latent_beta, weight_beta)
        self.warmup_steps = warmup_steps
        self.anneal_steps = anneal_steps
        self.temperature = temperature
        self.kl_reduction: KLReduction = kl_reduction
        width = features if dim is None else dim
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.mean = nn.Linear(features, width)
        self.log_variance = nn.Linear(features, width)
        self.weight_mean = nn.Parameter(torch.empty(self.outputs, width))
        self.weight_log_variance = nn.Parameter(torch.empty(self.outputs, width, dtype=torch.float32))
        self.latent_logits: nn.Parameter | None = None
        self.weight_logits: nn.Parameter | None = None
        self.latent_moments = RunningMoments(width)
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._task = ""
        self._others: tuple[VMTLHead, ...] = ()  # a tuple: other tasks' heads are no submodules of this one
        self.reset()

    def attach(self, shared: nn.Module | None, peers: Mapping[str, Head], task: str) -> None:
        """Meet the other tasks, in the order of their names, and make a mixing logit for each of them."""
        others = [head for name, head in sorted(peers.items()) if name != task]
        self._others = tuple(head for head in others if isinstance(head, VMTLHead))
        self._task = task
        if others:
            self.latent_logits = nn.Parameter(torch.zeros(len(others), dtype=torch.float32))
            self.weight_logits = nn.Parameter(torch.zeros(len(others), dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs at the means of latent and weights [n, C], float32."""
        return F.linear(self.mean(self.dropout(features)), self.weight_mean).float()

    def decode(self, features: Tensor, noise: Noise) -> Decoded:
        """Sample the latents of the rows and the weights of the step."""
        features = self.dropout(features)
        latents = Gaussian.of(features, self.mean, self.log_variance)
        self.latent_moments.observe(*latents)
        latent = latents.sample(noise.normal(latents.mean.shape[1], f"vmtl latent {self._task}"))
        weights = Gaussian(self.weight_mean.float(), bounded(self.weight_log_variance))
        draws = noise.step_normal(weights.mean.numel(), f"vmtl weight {self._task}").view_as(weights.mean)
        weight = weights.sample(draws)
        of_latents, of_weights = self._priors(noise)
        latent_kl = latents.kl(self.kl_reduction, of_latents)
        weight_kl = gaussian_kl(*weights, *of_weights).reshape(1, -1)  # one divergence of the whole matrix
        latent_beta, weight_beta = (beta * self._ramp() for beta in self.betas)
        penalties = {
            "kl": Penalty(latent_kl, latent_beta),
            # The same on every row, whose mean the loss takes: once per step.
            "weight_kl": Penalty(reduce_kl(weight_kl, self.kl_reduction).expand(len(latent)), weight_beta),
        }
        return Decoded(F.linear(latent, weight).float(), penalties=penalties)

    def plain_form(self) -> PlainForm:
        """Give the maps to the latent's mean and by the weights' mean, which are one map."""
        inner = Affine.of(self.mean.weight, self.mean.bias)
        return PlainForm((Affine.of(self.weight_mean).after(inner),))

    def variance(self, features: Tensor) -> Tensor:
        """Return the exact variance of the product of latent and weights [n, C], float32."""
        features = self.dropout(features)
        mean, variance = self.mean(features).float(), bounded(self.log_variance(features)).exp()
        of_weights = bounded(self.weight_log_variance).exp()
        # M^2 Sigma + S (mu^2 + Sigma), summed over dimensions.
        return linear_variance(variance, self.weight_mean) + linear_variance(mean**2 + variance, of_weights.sqrt())

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return the mixing logits: only the priors move them, and weight decay would pull them to equal shares."""
        return [logits for logits in (self.latent_logits, self.weight_logits) if logits is not None]

    def step_sums(self) -> Tensor:
        """Return the sums that the latents' running moments need."""
        return self.latent_moments.step_sums()

    def end_step(self, sums: Tensor | None) -> None:
        """Update the latents' running moments, count the step if the task had rows, keep log S in its range."""
        assert sums is not None
        self.steps += self.latent_moments.update(sums)
        keep_bounded(self.weight_log_variance)

    @torch.no_grad()
    def weight_moments(self) -> tuple[Tensor, Tensor]:
        """Return mean [D] and variance [D] of a weight vector when its output, too, is drawn, float32."""
        mean, variance = self.weight_mean.float(), bounded(self.weight_log_variance).exp()
        return mean.mean(dim=0), variance.mean(dim=0) + mean.var(dim=0, correction=0)

    def reset(self) -> None:
        """Begin with the authors' weights and latent noise, with equal mixing, and with no step and no row seen."""
        init.normal_(self.weight_mean, std=WEIGHT_DEVIATION)
        init.constant_(self.weight_log_variance, LOG_VARIANCE_AT_FIRST)
        init.constant_(self.log_variance.bias, LATENT_LOG_VARIANCE_AT_FIRST)
        for logits in self.auxiliary_parameters():
            init.zeros_(logits)
        init.zeros_(self.steps)
        self.latent_moments.reset()

    def _ramp(self) -> Tensor:
        """Return the share of the factors that holds in this step, in (0, 1]."""
        return ((self.steps + 1) / max(self.warmup_steps, 1)).clamp(max=1.0)

    def _temperature(self) -> Tensor:
        first, last = self.temperature
        return first + (last - first) * ((self.steps - self.warmup_steps) / self.anneal_steps).clamp(0.0, 1.0)

    def _priors(self, noise: Noise) -> tuple[Gaussian, Gaussian]:
        """Return the priors of latents and weights in this step; decided on the device, without waiting for it."""
        if self.latent_logits is None or self.weight_logits is None:
            zeros = torch.zeros(self.mean.out_features, device=self.steps.device)
            return Gaussian(zeros, zeros), Gaussian(zeros, zeros)
        latents = [head.latent_moments.moments() for head in self._others]
        weights = [head.weight_moments() for head in self._others]
        return (
            self._mixed(self.latent_logits, latents, noise, "latent"),
            self._mixed(self.weight_logits, weights, noise, "weight"),
        )

    def _mixed(self, logits: Tensor, moments: list[tuple[Tensor, Tensor]], noise: Noise, which: str) -> Gaussian:
        """Return the moments of a weighted sum of the other tasks' Gaussians that have been seen, or N(0, I)."""
        seen = torch.stack([head.latent_moments.seen for head in self._others])
        # Where no task was seen none is masked: a softmax of -inf alone would be nan, also in the branch not taken.
        logits = logits.float().masked_fill(seen.any() & ~seen, -math.inf)
        uniform = noise.step_uniform(len(logits), f"vmtl {which} prior {self._task}")
        alpha = gumbel_softmax(logits, uniform, self._temperature())
        means, variances = (torch.stack(parts) for parts in zip(*moments, strict=True))
        mean, variance = mixed_moments(alpha, means, variances)
        ready = seen.any() & (self.steps >= self.warmup_steps)
        return Gaussian(torch.where(ready, mean, 0.0), torch.where(ready, variance, 1.0).log())
