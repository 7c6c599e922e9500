"""A head class, known to recipes by name; its keyword arguments are its options there."""

from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import Dropout, Head, head_dropout, register
from hf_mtl.tasks import Task


@register("gated")
class GatedHead(Head):
    """Affine, on features that a gate lets through.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dropout: Probability; None: the backbone's own.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(self, features: int, task: Task, config: PreTrainedConfig, *, dropout: Dropout = None):
        super().__init__(features, task, config)
        self.gate = nn.Linear(features, features)
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(features, self.outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.classifier(self.dropout(features * self.gate(features).sigmoid()))
        return logits
