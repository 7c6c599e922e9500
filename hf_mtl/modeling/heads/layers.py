"""Layers that several heads are made of."""

from typing import Annotated, TypeAlias

from pydantic import Field
from torch import nn

Hidden: TypeAlias = Annotated[int, Field(ge=0)] | None


def perceptron(features: int, outputs: int, hidden: int | None, dropout: float) -> nn.Sequential:
    """Stack affine, GELU, dropout, affine; without a hidden layer: dropout, affine.

    Args:
        features: Width H of the input.
        outputs: Width C of the output.
        hidden: Width of the hidden layer; None: H. 0: no hidden layer.
        dropout: Probability.

    Shape:
        [n, H] -> [n, C].
    """
    if hidden == 0:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(features, outputs))
    width = features if hidden is None else hidden
    return nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, outputs))
