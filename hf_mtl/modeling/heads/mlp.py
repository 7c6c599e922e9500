"""The head with one hidden layer."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import Dropout, Head, head_dropout


class MLPHead(Head, name="mlp"):
    """Affine, GELU, dropout, affine.

    Args:
        features: Width H of the features.
        outputs: Width C of the outputs.
        config: The backbone's config.
        hidden: Width of the hidden layer; None: H.
        dropout: Probability; None: the backbone's own.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        config: PreTrainedConfig,
        *,
        hidden: Annotated[int, Field(ge=1)] | None = None,
        dropout: Dropout = None,
    ):
        super().__init__(features, outputs, config)
        width = features if hidden is None else hidden
        self.dense = nn.Linear(features, width)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.classifier(self.dropout(self.activation(self.dense(features))))
        return logits
