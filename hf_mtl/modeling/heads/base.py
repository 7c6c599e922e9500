"""What a head is: pooled features in, one output per class or target out."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedConfig

Dropout = Annotated[float, Field(ge=0, lt=1)] | None
FeatureSource = Literal["pooled", "pooler"]

_BACKBONE_DROPOUTS = (
    "classifier_dropout",
    "cls_dropout",
    "seq_classif_dropout",
    "classifier_dropout_prob",
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "dropout_rate",
    "resid_pdrop",
)


class Head(nn.Module, ABC):
    """A task's own layers. A subclass's keyword arguments are its recipe options, with their defaults.

    Subclass with ``class MyHead(Head, name="my_head")`` in a module of this package; nothing else is needed.

    Args:
        features: Width H of the features.
        outputs: Width C of the outputs: classes or targets.
        config: The backbone's config.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    name: ClassVar[str] = ""
    registry: ClassVar[dict[str, type["Head"]]] = {}

    def __init_subclass__(cls, name: str = "", **kwargs: object):
        super().__init_subclass__(**kwargs)
        if name:
            cls.name = name
            Head.registry[name] = cls

    def __init__(self, features: int, outputs: int, config: PreTrainedConfig):
        super().__init__()
        self.features = features
        self.outputs = outputs

    @classmethod
    def source(cls, config: PreTrainedConfig) -> FeatureSource:
        """Which features the head reads: the pooled hidden states, or the output of the backbone's pooler."""
        return "pooled"

    @classmethod
    def forced_pooling(cls, config: PreTrainedConfig) -> str | None:
        """The pooling that the head needs, or None where any will do."""
        return None

    @classmethod
    def unsupported(cls, config: PreTrainedConfig) -> str | None:
        """Why the head cannot sit on this backbone, or None where it can."""
        return None

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""


def head_dropout(dropout: float | None, config: PreTrainedConfig) -> float:
    """The head's dropout probability: as given, else the backbone's own, else 0.1."""
    if dropout is not None:
        return dropout
    for field in _BACKBONE_DROPOUTS:
        value = getattr(config, field, None)
        if isinstance(value, (int, float)):
            return float(value)
    return 0.1
