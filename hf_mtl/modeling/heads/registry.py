"""Heads by name: discovery, and recipe options checked against signatures."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError
from transformers import PreTrainedConfig

from hf_mtl.discovery import import_modules
from hf_mtl.errors import Mistake, ModelError, huge_numbers, idle_options, known
from hf_mtl.modeling.heads.base import Head
from hf_mtl.tasks import Task

HeadSpec: TypeAlias = str | Mapping[str, Any]


@cache
def _discover() -> None:
    import_modules(__package__)


def available_heads() -> dict[str, type[Head]]:
    """Every registered head by name."""
    _discover()
    return dict(sorted(Head.registry.items()))


def head_options(name: str) -> dict[str, inspect.Parameter]:
    """The recipe options of a head: the keyword-only parameters of its signature."""
    parameters = inspect.signature(available_heads()[name], eval_str=True).parameters
    return {key: value for key, value in parameters.items() if value.kind is value.KEYWORD_ONLY}


def head_mistakes(spec: HeadSpec, config: PreTrainedConfig | None = None, key: str = "model.head") -> list[Mistake]:
    """What is wrong with a head as a recipe writes it; empty where nothing is.

    Args:
        spec: A name, or a mapping with ``type`` and the head's options.
        config: The backbone's config, to ask whether the head can sit on it; None: not asked.
        key: The recipe key that holds the specification.
    """
    if not isinstance(spec, str) and not (isinstance(spec, Mapping) and isinstance(spec.get("type"), str)):
        return [Mistake(key, f"found {spec!r}", "A head is a name, or a mapping with 'type' and its options")]
    name, given = _split(spec)
    if name not in available_heads():
        return [Mistake(key, f"unknown head '{name}'", known(available_heads(), name))]
    allowed = head_options(name)
    mistakes = huge_numbers(given, key)
    for option, value in given.items():
        if option not in allowed:
            remedy = known(allowed, option, f"Options of '{name}'")
            mistakes.append(Mistake(f"{key}.{option}", f"unknown option '{option}'", remedy))
            continue
        try:
            TypeAdapter(allowed[option].annotation).validate_python(value)
        except ValidationError as error:
            mistakes.append(Mistake(f"{key}.{option}", f"found {value!r}", error.errors()[0]["msg"]))
    defaults = {option: found.default for option, found in allowed.items()}
    mistakes += idle_options(getattr(available_heads()[name], "only_with", {}), given, defaults, key)
    reason = available_heads()[name].unsupported(config) if config is not None else None
    if reason:
        others = [other for other, head in available_heads().items() if not head.unsupported(config)]
        mistakes.append(Mistake(key, f"head '{name}' does not fit this backbone: {reason}", known(others, name)))
    return mistakes


def head_class(spec: HeadSpec) -> type[Head]:
    """The class behind a head specification that has no mistakes."""
    return available_heads()[_split(spec)[0]]


def build_head(
    spec: HeadSpec, features: int, task: Task, config: PreTrainedConfig, *, dropout: float | None = None
) -> Head:
    """Build a head as a recipe writes it.

    Args:
        spec: A name, or a mapping with ``type`` and the head's options.
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dropout: Dropout of a head whose specification says none; None: the backbone's own.

    Raises:
        ModelError: If the head or an option is unknown, or the head cannot sit on this backbone.
    """
    if mistakes := head_mistakes(spec, config):
        raise ModelError(mistakes)
    return head_class(spec)(features, task, config, **settled_options(spec, dropout))


def settled_options(spec: HeadSpec, dropout: float | None = None) -> dict[str, Any]:
    """All options of a head with their values, from a specification without mistakes.

    Args:
        spec: The specification.
        dropout: Dropout where the specification says none.
    """
    name, given = _split(spec)
    allowed = head_options(name)
    options = {key: option.default for key, option in allowed.items()}
    options |= {key: TypeAdapter(allowed[key].annotation).validate_python(value) for key, value in given.items()}
    if "dropout" in allowed and given.get("dropout") is None and dropout is not None:
        options["dropout"] = dropout
    return options


def default_head(config: PreTrainedConfig, pooling: str | None = None) -> dict[str, Any]:
    """The head of a model whose user chose none: ``native`` where there is one, else ``linear``.

    Args:
        config: The backbone's config.
        pooling: The pooling that the user asked for; ``native`` is not chosen against it.
    """
    native = available_heads()["native"]
    fits = native.unsupported(config) is None and pooling in (None, native.forced_pooling(config))
    return {"type": "native" if fits else "linear"}


def _split(spec: HeadSpec) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    return spec["type"], {key: value for key, value in spec.items() if key != "type"}
