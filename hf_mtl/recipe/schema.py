"""The recipe: one frozen, validated object."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializeAsAny, SkipValidation

import hf_mtl.balancing as of_balancing
import hf_mtl.data.section as of_data
import hf_mtl.evaluation.section as of_baselines
from hf_mtl.errors import Mistake
from hf_mtl.plain import dump_yaml
from hf_mtl.recipe.places import Places
from hf_mtl.shown import hide_secrets
from hf_mtl.signatures import Options
from hf_mtl.tasks import AnyTask, Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def __repr__(self) -> str:
        return hide_secrets(super().__repr__())

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class ModelSection(_Frozen):
    """The encoder, its tokenizer, and the head of every task that names none."""

    backbone: str | dict[str, Any] = Field(
        description="Hub id, local folder, python:package/folder, or an inline config (model_type and its fields)."
    )
    tokenizer: str | dict[str, Any] | None = Field(
        None, description="Hub id, folder, or {train: wordpiece, ...} to train one. Default: the backbone's own."
    )
    max_length: int | None = Field(
        None,
        ge=1,
        description="Longest text in tokens; what is truncated is counted and said. Default: the encoder's.",
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Of heads and backbone. Default: what the backbone's config says."
    )
    pooling: Literal["cls", "mean", "last", "max"] | None = Field(
        None, description="How tokens become one vector. Default: what suits the backbone; of a run its own."
    )
    # Said of by the door of heads, in the words that Python's are refused with.
    head: SkipValidation[str | dict[str, Any] | None] = Field(
        None, description="A head, or {type: ..., its options}. Default: what suits the backbone."
    )
    peft: SkipValidation[str | dict[str, Any] | None] = Field(
        None,
        description="Train adapters in place of the encoder: a type, {type: lora, r: ..., other options of peft}, or "
        "{shared: ..., per_task: ...} of these, to give each task one of its own.",
    )
    freeze: Literal["embeddings", "encoder"] | Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Part of the encoder to keep as it is: embeddings, so many layers from the bottom, or encoder.",
    )
    keep_tasks: bool = Field(
        False,
        description="Of a backbone that is a model of hf_mtl take the tasks too, with their heads. Those without "
        "training rows stay as they are.",
    )
    drop_tasks: list[str] = Field(
        default_factory=list, description="Tasks of the backbone that are not kept, where keep_tasks is true."
    )
    save_heads_only: bool = Field(
        False,
        description="With freeze: encoder, save the heads alone, a few KB; the encoder is fetched from the backbone "
        "again, whose weights are compared with those of training.",
    )


class Recipe(_Frozen):
    """A validated recipe. Sections that configure a callable give its keyword arguments with ``options()``.

    Args:
        plugins: Modules of the user's that are imported before anything is chosen by name.
        model: The encoder and its heads.
        tasks: The tasks by name.
        data: What is done with the rows of all tasks.
        mixture: Options of `hf_mtl.data.Mixture`.
        balancing: The loss weighting, the gradient aggregator, and their options.
        schedules: Schedules and their options, which compose.
        callbacks: Callbacks of the Trainer that plugins register, and their options.
        baselines: What is scored beside the model, where that is asked for.
        training: Options of `MultiTaskTrainingArguments`.
    """

    plugins: list[str] = Field(default_factory=list)
    model: ModelSection
    tasks: Mapping[str, AnyTask]
    data: of_data.Spec = Field(default_factory=of_data.Spec)
    mixture: SerializeAsAny[Options]
    balancing: of_balancing.Spec
    schedules: list[SerializeAsAny[Options]] = Field(default_factory=list)
    callbacks: list[SerializeAsAny[Options]] = Field(default_factory=list)
    baselines: of_baselines.Spec = Field(default_factory=of_baselines.Spec)
    training: SerializeAsAny[Options]
    _places: Places = PrivateAttr(default_factory=Places)
    _allow_code: bool = PrivateAttr(default=False)

    def __eq__(self, other: object) -> bool:
        # Not where it was written: a resolved copy is the same recipe.
        return isinstance(other, Recipe) and self.to_dict() == other.to_dict()

    @property
    def allow_code(self) -> bool:
        """Tell whether the user allows that code which the recipe names is run; the recipe itself cannot say so."""
        return self._allow_code

    def allowing_code(self) -> "Recipe":
        """Return the same recipe, with the user's word that code which it names may be run."""
        allowing = self.model_copy()
        allowing._allow_code = True
        return allowing

    @property
    def trained_tasks(self) -> dict[str, Task]:
        """The tasks that have training rows; the others are kept ones that are only scored."""
        return {name: task for name, task in self.tasks.items() if not task.is_scored_only}

    def locate(self, key: str) -> str:
        """Return ``file:line`` of a dotted key, or of the nearest key above it; empty for a recipe made in Python."""
        return self._places.locate(key)

    def with_places(self, mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
        """Return the same mistakes, with the place of their keys in this recipe where they have none."""
        return tuple(replace(item, where=item.where or self.locate(item.key)) for item in mistakes)

    def to_dict(self) -> dict[str, Any]:
        """Return what was set, as plain values; defaults are left out, empty sections too."""
        sections = {
            "plugins": list(self.plugins),
            "model": self.model.model_dump(mode="json", exclude_unset=True),
            "tasks": {
                # The type says which class reads it back, also for a task made in Python.
                name: {"type": task.type, **task.model_dump(mode="json", exclude_unset=True)}
                for name, task in self.tasks.items()
            },
            "data": self.data.model_dump(mode="json", exclude_unset=True),
            "mixture": self.mixture.model_dump(mode="json", exclude_unset=True),
            "balancing": self.balancing.model_dump(mode="json", exclude_unset=True),
            "schedules": [item.model_dump(mode="json", exclude_unset=True) for item in self.schedules],
            "callbacks": [item.model_dump(mode="json", exclude_unset=True) for item in self.callbacks],
            "baselines": self.baselines.model_dump(mode="json", exclude_unset=True),
            "training": self.training.model_dump(mode="json", exclude_unset=True),
        }
        return {name: section for name, section in sections.items() if section}

    def to_yaml(self) -> str:
        """Return the recipe in one file, for any folder: paths are absolute, nothing is inherited, the token is left
        out.
        """
        sections = self.to_dict()
        sections.get("training", {}).pop("hub_token", None)
        return dump_yaml(sections)
