"""Heads as a recipe, a config or Python names them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from transformers import PreTrainedConfig

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.heads.base import HEADS, Head
from hf_mtl.signatures import Options
from hf_mtl.tasks import Task

HeadSpec: TypeAlias = str | Mapping[str, Any]


def head_mistakes(
    spec: HeadSpec, config: PreTrainedConfig | None = None, key: str = HEADS.key, tasks: Sequence[Task] = ()
) -> list[Mistake]:
    """Find what is wrong with a head.

    Args:
        spec: A name, or a mapping with ``type`` and the head's options.
        config: The backbone's config, to ask whether the head can sit on it; None: not asked.
        key: The recipe key that holds the specification.
        tasks: The tasks that have the head, to ask whether it can serve them.
    """
    mistakes: list[Mistake] = []
    choice = HEADS.parse(spec, mistakes, key)
    if choice is None or config is None:
        return mistakes
    reason = HEADS[choice.chosen].unsupported(config)
    if reason:
        others = [name for name in HEADS.names() if not HEADS[name].unsupported(config)]
        problem = f"head '{choice.chosen}' does not fit this backbone: {reason}"
        mistakes.append(Mistake(key, problem, known(others, choice.chosen)))
        return mistakes
    mistakes += _unsuited(choice.chosen, config, key, tasks)
    return mistakes


def _unsuited(name: str, config: PreTrainedConfig, key: str, tasks: Sequence[Task]) -> list[Mistake]:
    """Find types of tasks that a head cannot serve, a mistake each."""
    mistakes = []
    for task in {task.type: task for task in tasks}.values():
        if reason := HEADS[name].unsuited(task, config):
            suited = [other for other in HEADS.names() if not HEADS[other].unsuited(task, config)]
            problem = f"head '{name}' does not fit a task of type {task.type}: {reason}"
            mistakes.append(Mistake(key, problem, f"{known(suited, name)} A task may have a head of its own."))
    return mistakes


def head_class(spec: HeadSpec) -> type[Head]:
    """Return the class behind a specification that has no mistakes."""
    return HEADS[_parsed(spec).chosen]


def build_head(
    spec: HeadSpec, features: int, task: Task, config: PreTrainedConfig, *, dropout: float | None = None
) -> Head:
    """Build a head.

    Args:
        spec: A name, or a mapping with ``type`` and the head's options.
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dropout: Dropout of a head whose specification says none; None: the backbone's own.

    Raises:
        ModelError: If the head or an option is unknown, or the head cannot sit on this backbone.
    """
    if mistakes := head_mistakes(spec, config, tasks=[task]):
        raise ModelError(mistakes)
    options = settled_options(spec, dropout)
    return HEADS.make(_parsed(spec).chosen, options, features=features, task=task, config=config)


def settled_options(spec: HeadSpec, dropout: float | None = None) -> dict[str, Any]:
    """Return all options of a head with their values, from a specification without mistakes.

    Args:
        spec: The specification.
        dropout: Dropout where the specification says none.
    """
    choice = _parsed(spec)
    options = choice.settled()
    says_none = "dropout" not in choice.model_fields_set or options.get("dropout") is None
    if "dropout" in options and says_none and dropout is not None:
        options["dropout"] = dropout
    return options


def default_head(config: PreTrainedConfig, pooling: str | None = None) -> dict[str, Any]:
    """Return the head of a model whose user chose none: ``native`` where there is one, else ``linear``.

    Args:
        config: The backbone's config.
        pooling: The pooling that the user asked for; ``native`` is not chosen against it.
    """
    native = HEADS["native"]
    fits = native.unsupported(config) is None and pooling in (None, native.forced_pooling(config))
    return {"type": "native" if fits else "linear"}


def _parsed(spec: HeadSpec) -> Options:
    mistakes: list[Mistake] = []
    choice = HEADS.parse(spec, mistakes)
    if choice is None:
        raise ModelError(mistakes)
    return choice
