"""A shared representation that every task sees through noise of its own."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from hf_mtl.modeling.gaussian import (
    Coefficient,
    KLReduction,
    Width,
    bounded,
    keep_bounded,
    linear_variance,
    reduce_kl,
    sample,
    standard_kl,
)
from hf_mtl.modeling.heads.base import Decoded, Dropout, Head, Penalty, head_dropout, register
from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from hf_mtl.modeling.noise import Noise
from hf_mtl.tasks import Task


class SharedRepresentation(nn.Module):
    """The shared latent, an affine map of the features.

    Args:
        features: Width H of the features.
        dim: Width D of the latent.
    """

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.projection = nn.Linear(features, dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to the latent [n, D], float32."""
        latent: Tensor = self.projection(features)
        return latent.float()


@register("hierarchical")
class HierarchicalHead(Head):
    """An affine map of ``z_t = z + exp(nu_t / 2) eps``: a latent ``z = f(h)`` that all tasks with this head share,
    and noise whose log-variance nu_t, one per dimension, the task learns.

    While training, z_t is sampled once per row, and the row's loss gets ``beta KL(N(z, e^nu_t) || N(0, I))``: the
    task drowns the dimensions that it does not need. It predicts from z, without sampling; with D < H that costs
    less than an ``mlp`` head.

    Source: the idea of de Freitas et al., "Compressed Hierarchical Representations for Multi-Task Learning and Task
    Clustering", arXiv:2205.15882, of whose abstract this is hf_mtl's own definition. f is affine, since an encoder
    lies below it; nu_t is 0 at first, the KL's own optimum.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dim: Width D of the latent.
        beta: Factor of the KL.
        dropout: Probability on z_t; None: the backbone's own.
        kl_reduction: ``mean`` over dimensions, or their ``sum``.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    stochastic: ClassVar[bool] = True
    in_float32: ClassVar[tuple[str, ...]] = ("log_noise_variance",)
    penalty_names = ("kl",)

    def __init__(
        self,
        features: int,
        task: Task,
        config: PreTrainedConfig,
        *,
        dim: Width = 256,
        beta: Coefficient = 1e-3,
        dropout: Dropout = None,
        kl_reduction: KLReduction = "mean",
    ):
        super().__init__(features, task, config)
        self.beta = beta
        self.kl_reduction: KLReduction = kl_reduction
        self.log_noise_variance = nn.Parameter(torch.zeros(dim, dtype=torch.float32))
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(dim, self.outputs)
        self._task = ""
        self._shared: tuple[nn.Module, ...] = ()  # a tuple: f is no submodule of every head

    @classmethod
    def shared(cls, features: int, config: PreTrainedConfig, options: Mapping[str, Any]) -> SharedRepresentation:
        """Return the network f."""
        return SharedRepresentation(features, options["dim"])

    def attach(self, shared: nn.Module | None, peers: Mapping[str, Head], task: str) -> None:
        """Take f, and the name that keeps the tasks' noises apart."""
        assert shared is not None
        self._shared = (shared,)
        self._task = task

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs without noise [n, C], float32."""
        return self._outputs(self._latent(features))

    def decode(self, features: Tensor, noise: Noise) -> Decoded:
        """Sample the task's representation once per row."""
        latent, log_variance = self._latent(features), bounded(self.log_noise_variance)
        own = sample(latent, log_variance, noise.normal(len(log_variance), f"hierarchical {self._task}"))
        divergence = reduce_kl(standard_kl(latent, log_variance), self.kl_reduction)
        return Decoded(self._outputs(own), penalties={"kl": Penalty(divergence, self.beta)})

    def plain_form(self) -> PlainForm:
        """Give f and the map of what it makes, which are one map."""
        (shared,) = self._shared
        assert isinstance(shared, SharedRepresentation)
        outer, inner = (Affine.of(layer.weight, layer.bias) for layer in (self.classifier, shared.projection))
        return PlainForm((outer.after(inner),))

    def variance(self, features: Tensor) -> Tensor:
        """Return the exact variance of the affine map of z_t, the same for every row [n, C], float32."""
        variance = bounded(self.log_noise_variance).exp()
        return linear_variance(variance, self.classifier.weight).expand(len(features), -1)

    def end_step(self, sums: Tensor | None) -> None:
        """Keep nu_t in its range."""
        keep_bounded(self.log_noise_variance)

    def gauges(self) -> dict[str, Tensor]:
        """Return the mean over dimensions of the noise's variance."""
        return {"noise_variance": bounded(self.log_noise_variance.detach()).exp().mean()}

    def reset(self) -> None:
        """Set the noise's variance to 1 at first."""
        init.zeros_(self.log_noise_variance)

    def _latent(self, features: Tensor) -> Tensor:
        (shared,) = self._shared
        latent: Tensor = shared(features)
        return latent

    def _outputs(self, latent: Tensor) -> Tensor:
        outputs: Tensor = self.classifier(self.dropout(latent.to(self.classifier.weight.dtype)))
        return outputs.float()
