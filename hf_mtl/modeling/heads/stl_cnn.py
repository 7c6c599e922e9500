"""The convolutional head on the token states of a frozen encoder."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig

from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.heads.base import FeatureSource, Head, register
from hf_mtl.modeling.padded import PaddedStates
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
        token states of n rows -> outputs [n, C].
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
    def source(cls, config: PreTrainedConfig, task: Task) -> FeatureSource:
        """Return the token states."""
        return "tokens"

    def forward(self, features: Encoded | PaddedStates) -> Tensor:
        """Map the token states of n rows to outputs [n, C]."""
        maxima = self._of_padded(features) if isinstance(features, PaddedStates) else self._of_rows(features)
        logits: Tensor = self.classifier(self.dropout(torch.cat(maxima, dim=1)))
        return logits

    def _of_rows(self, features: Encoded) -> list[Tensor]:
        """Return the largest value of each filter over the tokens of rows that stand end to end, [n, F] each."""
        # As many zeros after each row as a window reaches beyond its last token.
        gap = self.widest - 1
        tokens = torch.arange(features.states.shape[0], device=features.states.device)
        places = tokens + features.row_of_token * gap
        # One window more than needed, so that the convolution has one where there are no rows.
        spaced = features.states.new_zeros(len(tokens) + (len(features) + 1) * gap + 1, self.features)
        spaced = spaced.index_copy(0, places, features.states).T[None]
        maxima = []
        for convolution in self.convolutions:
            begun = convolution(spaced)[0].T.index_select(0, places).relu()  # windows that begin at a token
            maxima.append(features.largest(begun))
        return maxima

    def _of_padded(self, features: PaddedStates) -> list[Tensor]:
        """Return the same of a padded rectangle, as an exported program must."""
        real = features.mask.unsqueeze(1) != 0  # [B, 1, L]
        spaced = F.pad(torch.where(real, features.states.mT, 0.0), (0, self.widest - 1))
        maxima = []
        for convolution in self.convolutions:
            begun = convolution(spaced)[..., : features.mask.shape[1]].relu()
            maxima.append(torch.where(real, begun, 0.0).amax(dim=2))  # no value after a ReLU is lower
        return maxima
