"""The variational information bottleneck that all tasks share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.modeling.gaussian import Coefficient, Gaussian, KLReduction, Width, bounded, linear_variance
from hf_mtl.modeling.heads.base import Decoded, Dropout, Head, Penalty, head_dropout, register
from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from hf_mtl.modeling.noise import Noise
from hf_mtl.tasks import Task


class Bottleneck(nn.Module):
    """Mean and log-variance of the shared latent, each an affine map of the features.

    Args:
        features: Width H of the features.
        dim: Width D of the latent.
    """

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.mean = nn.Linear(features, dim)
        self.log_variance = nn.Linear(features, dim)


@register("mt_vib")
class MTVIBHead(Head):
    """An affine map of one latent ``z ~ N(mu(h), Sigma(h))`` whose mu and Sigma all tasks with this head share.

    While training, z is sampled once per row, and the row's loss gets ``beta KL(N(mu, Sigma) || N(0, I))``.
    It predicts from mu, without sampling; with D < H that costs less than an ``mlp`` head.

    Source: Qian et al., "Multi-Task Variational Information Bottleneck", arXiv:2007.00339. Departs from it: mu and
    log Sigma are affine, since an encoder lies below them; tasks are weighted by whatever weighting is chosen, not
    always by uncertainty; the KL is averaged over dimensions, as that of ``vip``.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dim: Width D of the latent.
        beta: Factor of the KL.
        dropout: Probability on z; None: the backbone's own.
        kl_reduction: ``mean`` over dimensions, or their ``sum``, as information bottlenecks are often written.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    stochastic: ClassVar[bool] = True
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
        self.dim = dim
        self.beta = beta
        self.kl_reduction: KLReduction = kl_reduction
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(dim, self.outputs)
        self._shared: tuple[nn.Module, ...] = ()  # a tuple: the bottleneck is no submodule of every head

    @classmethod
    def shared(cls, features: int, config: PreTrainedConfig, options: Mapping[str, Any]) -> Bottleneck:
        """Return the bottleneck."""
        return Bottleneck(features, options["dim"])

    def attach(self, shared: nn.Module | None, peers: Mapping[str, Head], task: str) -> None:
        """Take the bottleneck."""
        assert isinstance(shared, Bottleneck)
        self._shared = (shared,)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs at the mean of the latent [n, C], float32."""
        return self._outputs(self._bottleneck.mean(features))

    def decode(self, features: Tensor, noise: Noise) -> Decoded:
        """Sample the latent once per row, the same for all heads that see the row."""
        latent = Gaussian.of(features, self._bottleneck.mean, self._bottleneck.log_variance)
        outputs = self._outputs(latent.sample(noise.normal(self.dim, "mt_vib")))
        return Decoded(outputs, penalties={"kl": Penalty(latent.kl(self.kl_reduction), self.beta)})

    def plain_form(self) -> PlainForm:
        """Give the maps to the latent's mean and from it, which are one map."""
        outer, inner = (Affine.of(layer.weight, layer.bias) for layer in (self.classifier, self._bottleneck.mean))
        return PlainForm((outer.after(inner),))

    def variance(self, features: Tensor) -> Tensor:
        """Return the exact variance of the affine map of z [n, C], float32."""
        variance = bounded(self._bottleneck.log_variance(features)).exp()
        return linear_variance(variance, self.classifier.weight)

    @property
    def _bottleneck(self) -> Bottleneck:
        (bottleneck,) = self._shared
        assert isinstance(bottleneck, Bottleneck)
        return bottleneck

    def _outputs(self, latent: Tensor) -> Tensor:
        outputs: Tensor = self.classifier(self.dropout(latent.to(self.classifier.weight.dtype)))
        return outputs.float()
