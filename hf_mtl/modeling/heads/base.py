"""The base class of heads: pooled features in, one output per class or target out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hf_mtl.components import Kind
from hf_mtl.errors import ModelError
from hf_mtl.modeling.float32 import KeepsFloat32
from hf_mtl.modeling.heads.plain_form import PlainForm
from hf_mtl.modeling.noise import Noise
from hf_mtl.tasks import Task

Dropout = Annotated[float, Field(ge=0, lt=1)] | None
FeatureSource = Literal["pooled", "pooler", "tokens"]
Features: TypeAlias = Any  # Tensor [n, H], or Encoded where the source is "tokens"; a head takes one of them

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


class Penalty(NamedTuple):
    """Something that a head adds to its task's loss: ``coefficient * values``, which may be negative.

    Args:
        values: One value per row, float32 [n].
        coefficient: Its factor; a scalar tensor where it changes from step to step.
    """

    values: Tensor
    coefficient: float | Tensor


@dataclass
class Decoded:
    """Result of a head that is being trained, from features.

    Args:
        outputs: What the loss reads, [n, C].
        scale: The loss of real-valued targets is that of ``outputs * scale`` and ``targets * scale``; None: 1.
        penalties: What joins the task's loss apart from the data term, by the names in `Head.penalty_names`.
    """

    outputs: Tensor
    scale: Tensor | None = None
    penalties: dict[str, Penalty] = field(default_factory=dict)


class Head(KeepsFloat32, ABC):
    """A task's own layers. A subclass's keyword arguments are its recipe options, with their defaults.

    Register with ``@register("my_head")`` in a module of this package; nothing else is needed.
    `forward` is what the model predicts. A head that is trained in another way (that samples, that has penalties)
    overrides `decode` too. One that has logarithms or other numbers of its own names them in ``in_float32``.

    Args:
        features: Width H of the features.
        task: The task; it has C outputs, classes or targets.
        config: The backbone's config.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    name: ClassVar[str] = ""
    stochastic: ClassVar[bool] = False
    """Whether `decode` draws from its noise."""
    frozen_encoder: ClassVar[bool] = False
    """Whether the head is defined on an encoder that is not trained."""
    knows_peers: ClassVar[bool] = False
    """Whether the head has parameters for each of the tasks that it meets in `attach`, in their names' order."""
    penalty_names: tuple[str, ...] = ()
    """Penalties that `decode` returns, always all of them; logged as ``loss/<task>/<name>``."""

    def __init__(self, features: int, task: Task, config: PreTrainedConfig):
        super().__init__()
        self.features = features
        self.outputs = task.num_outputs

    @classmethod
    def source(cls, config: PreTrainedConfig, task: Task) -> FeatureSource:
        """Tell which features the head reads: pooled hidden states, the output of the backbone's pooler, or all
        states. For a task whose outputs are made for tokens it gets the states of these, one by one.
        """
        return "pooled"

    @classmethod
    def forced_pooling(cls, config: PreTrainedConfig) -> str | None:
        """Return the pooling that the head needs, or None where any will do."""
        return None

    @classmethod
    def unsupported(cls, config: PreTrainedConfig) -> str | None:
        """Tell why the head cannot sit on this backbone, or None where it can."""
        return None

    @classmethod
    def unsuited(cls, task: Task, config: PreTrainedConfig) -> str | None:
        """Tell why the head cannot serve a task, or None where it can."""
        if task.outputs_per in ("token", "window") and cls.source(config, task) == "tokens":
            return "it makes one output of all tokens of a row, and the task has one for each token"
        return None

    @classmethod
    def shared(cls, features: int, config: PreTrainedConfig, options: Mapping[str, Any]) -> nn.Module | None:
        """Return a module that all tasks with this head and the same options share; None: they share nothing.

        Args:
            features: Width H of the features.
            config: The backbone's config.
            options: All options of the head with their values.
        """
        return None

    def attach(self, shared: nn.Module | None, peers: Mapping[str, "Head"], task: str) -> None:
        """Meet the shared module and the heads of all tasks that share it; called once, when all are built.

        A head that keeps them must not register them as its own submodules.

        Args:
            shared: What `shared` returned.
            peers: The heads with the same shared module, this one too, by task.
            task: This head's task.
        """

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Map features [n, H] to the outputs that the model predicts [n, C]; no randomness but dropout."""

    def decode(self, features: Features, noise: Noise) -> Decoded:
        """Map features [n, H] to what the head is trained on.

        Args:
            features: Features of the rows.
            noise: The only source of a head's own randomness.
        """
        return Decoded(self(features))

    def plain_form(self) -> PlainForm | None:
        """Give what `forward` does, without dropout, as layers that a plain model may hold; None: it is more."""
        return None

    def variance(self, features: Features) -> Tensor | None:
        """Return the decoded distribution's variance in units of the outputs, squared [n, C]; None: there is none."""
        return None

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return the parameters with a group of their own: no weight decay, no part in gradient clipping."""
        return []

    def step_sums(self) -> Tensor | None:
        """Return sums over the step's rows on this process that `end_step` needs of all processes; None: it needs
        none.
        """
        return None

    def end_step(self, sums: Tensor | None) -> None:
        """Do what follows every optimizer step, such as clipping a parameter to its range.

        Args:
            sums: What `step_sums` returned, added up over the processes.
        """

    def gauges(self) -> dict[str, Tensor]:
        """Return scalars to log after every step, as ``<name>/<task>``; a log record has their mean."""
        return {}

    def reset(self) -> None:
        """Set parameters and buffers of the head's own (not of its layers) to what a new head has.

        Through `transformers.initialization`, as the loader does this to what a checkpoint lacks.
        """


HEADS: Kind[Head] = Kind(
    "head",
    "model.head",
    "hf_mtl.modeling.heads",
    field="type",
    told=("features", "task", "config"),
    error=ModelError,
)
register = HEADS.register


def head_dropout(dropout: float | None, config: PreTrainedConfig) -> float:
    """Return the head's dropout probability: as given, else the backbone's own, else 0.1."""
    if dropout is not None:
        return dropout
    for name in _BACKBONE_DROPOUTS:
        value = getattr(config, name, None)
        if isinstance(value, (int, float)):
            return float(value)
    return 0.1
