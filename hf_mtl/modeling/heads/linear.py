"""The linear head."""

from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import Dropout, Head, head_dropout, register
from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from hf_mtl.tasks import Task


@register("linear")
class LinearHead(Head):
    """Dropout, then an affine map.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dropout: Probability; None: the backbone's own.
        bias: Whether the map has a shift. A decoder's own classification head has none: what it is exported to.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(
        self, features: int, task: Task, config: PreTrainedConfig, *, dropout: Dropout = None, bias: bool = True
    ):
        super().__init__(features, task, config)
        self.dropout = nn.Dropout(head_dropout(dropout, config))
        self.classifier = nn.Linear(features, self.outputs, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def plain_form(self) -> PlainForm:
        """Give the map."""
        return PlainForm((Affine.of(self.classifier.weight, self.classifier.bias),))
