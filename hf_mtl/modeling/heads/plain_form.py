"""What heads predict, as affine maps with a GELU between two of them: all that plain models can hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Affine(NamedTuple):
    """An affine map, in float64 so that maps can be put together without loss.

    Shape:
        features [..., H] -> outputs [..., C].
    """

    weight: Tensor
    """[C, H]."""
    bias: Tensor
    """[C]."""

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None) -> "Affine":
        """Copy a layer's numbers.

        Args:
            weight: [C, H].
            bias: [C]; None: 0.
        """
        weight = weight.detach().cpu().double()
        return cls(weight, torch.zeros(len(weight)).double() if bias is None else bias.detach().cpu().double())

    def after(self, first: "Affine") -> "Affine":
        """Return the map that applies another one and then this one."""
        return Affine(self.weight @ first.weight, self.weight @ first.bias + self.bias)

    def scaled(self, factor: Tensor | float, shift: Tensor | float = 0.0) -> "Affine":
        """Return the map with ``factor * output + shift`` in place of each output."""
        by = torch.as_tensor(factor).detach().cpu().double()
        weight = self.weight * (by.unsqueeze(-1) if by.dim() else by)
        return Affine(weight, self.bias * by + torch.as_tensor(shift).detach().cpu().double())


@dataclass(frozen=True)
class PlainForm:
    """One affine map, or two with a GELU between.

    Args:
        layers: The maps.
    """

    layers: tuple[Affine, ...]

    @classmethod
    def of_layers(cls, layers: Iterable[nn.Module]) -> "PlainForm":
        """Copy the affine layers of a `hf_mtl.modeling.heads.layers.perceptron`."""
        return cls(tuple(Affine.of(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Linear)))

    def scaled(self, factor: Tensor | float, shift: Tensor | float = 0.0) -> "PlainForm":
        """Return the form with ``factor * output + shift`` in place of each output."""
        return PlainForm((*self.layers[:-1], self.layers[-1].scaled(factor, shift)))

    def strong(self) -> "PlainForm":
        """Return random maps of the same shapes whose outputs lie far from 0, where no two activations look alike."""
        drawn, layers = torch.Generator().manual_seed(0), []
        for weight, bias in self.layers:
            spread = 3 / weight.shape[1] ** 0.5
            like = torch.randn(weight.shape, generator=drawn, dtype=torch.float64) * spread
            shift = torch.randn(bias.shape, generator=drawn, dtype=torch.float64) * bool(bias.any())
            layers.append(Affine(like, shift))
        return PlainForm(tuple(layers))

    def __call__(self, features: Tensor) -> Tensor:
        """Map features [..., H] to outputs [..., C], float64."""
        outputs = features.detach().cpu().double()
        for number, layer in enumerate(self.layers):
            outputs = F.linear(F.gelu(outputs) if number else outputs, *layer)
        return outputs
