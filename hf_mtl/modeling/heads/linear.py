"""The linear head."""

from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import Dropout, Head, head_dropout


class LinearHead(Head, name="linear"):
    """Dropout, then an affine map.

    Args:
        features: Width H of the features.
        outputs: Width C of the outputs.
        config: The backbone's config.
        dropout: Probability; None: the backbone's own.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(self, features: int, outputs: int, config: PreTrainedConfig, *, dropout: Dropout = None):
        super().__init__(features, outputs, config)
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
