"""The head with one hidden layer."""

from typing import Annotated

from pydantic import Field
from torch import Tensor
from transformers import PreTrainedConfig

from hf_mtl.modeling.heads.base import Dropout, Head, head_dropout, register
from hf_mtl.modeling.heads.layers import perceptron
from hf_mtl.modeling.heads.plain_form import PlainForm
from hf_mtl.tasks import Task


@register("mlp")
class MLPHead(Head):
    """Affine, GELU, dropout, affine.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        hidden: Width of the hidden layer; None: H.
        dropout: Probability; None: the backbone's own.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(
        self,
        features: int,
        task: Task,
        config: PreTrainedConfig,
        *,
        hidden: Annotated[int, Field(ge=1)] | None = None,
        dropout: Dropout = None,
    ):
        super().__init__(features, task, config)
        self.layers = perceptron(features, self.outputs, hidden, head_dropout(dropout, config))

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.layers(features)
        return logits

    def plain_form(self) -> PlainForm:
        """Give both maps."""
        return PlainForm.of_layers(self.layers)
