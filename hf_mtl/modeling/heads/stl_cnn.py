"""The convolutional head on the token states of a frozen encoder."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import FeatureSource, Head, TokenStates, register
from hf_mtl.tasks import Task

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


@register("stl_cnn")
class STLCNNHead(Head):
    """Convolutions of several widths over the tokens, ReLU, maximum over the row, dropout, affine.

    The encoder is not trained. Tasks then share nothing that is: several of them in one model train as one model per
    task does, but for the clipping of the gradient's norm, which is that of all together.

    Source: the STL-CNN baseline of Hu et al., "Impartial Multi-task Representation Learning via Variance-invariant
    Probabilistic Decoding" (VIP-MTL); the convolutions are those of Kim, EMNLP 2014, arXiv:1408.5882. A window begins
    at every real token, and zeros follow the last one, so that a row's outputs depend neither on its padding nor on
    the rows beside it, and a row may be shorter than a window.

    Args:
        features: Width H of the token states.
        task: The task.
        config: The backbone's config.
        widths: Tokens that each convolution sees at once.
        filters: Outputs of each convolution.
        dropout: Probability; where it is not given, the model's dropout comes before this default.

    Shape:
        token states [n, L, H] -> outputs [n, C].
    """

    frozen_encoder: ClassVar[bool] = True

    def __init__(
        self,
        features: int,
        task: Task,
        config: PreTrainedConfig,
        *,
        widths: Widths = (3, 4, 5),
        filters: Annotated[int, Field(ge=1)] = 100,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ):
        super().__init__(features, task, config)
        self.widest = max(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(features, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(filters * len(widths), self.outputs)

    @classmethod
    def source(cls, config: PreTrainedConfig) -> FeatureSource:
        """Return the token states."""
        return "tokens"

    def forward(self, features: TokenStates) -> Tensor:
        """Map token states [n, L, H] to outputs [n, C]."""
        padding = ~features.mask.unsqueeze(1)
        states = features.states.transpose(1, 2).masked_fill(padding, 0)
        longer = F.pad(states, (0, self.widest - 1))
        maxima = [_maximum(convolution(longer), padding) for convolution in self.convolutions]
        logits: Tensor = self.classifier(self.dropout(torch.cat(maxima, dim=1)))
        return logits


def _maximum(values: Tensor, padding: Tensor) -> Tensor:
    """Reduce filters at the windows from each position on [n, filters, >= L] to their largest values [n, filters]."""
    begun = values[..., : padding.shape[-1]].relu()
    # Zero is the least that ReLU gives: windows that begin at padding have no part in the maximum.
    return begun.masked_fill(padding, 0).amax(dim=-1)
