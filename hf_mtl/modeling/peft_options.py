"""The adapters that a recipe or Python asks for: one for all tasks, one for each, or both; read and checked."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hf_mtl.errors import Mistake, known, one_line
from hf_mtl.modeling.peft_kinds import HINTS, KEY, METADATA, PER_TASK, PLACES, RANGES, TAKEN
from hf_mtl.modeling.peft_refusals import other_option, other_type
from hf_mtl.options import parse_options
from hf_mtl.plain import describe, made_plain
from hf_mtl.signatures import Options, model_from_signature


@dataclass(frozen=True)
class Peft:
    """The adapters of a model.

    Args:
        shared: The one through which all tasks go; None: there is none.
        per_task: That of which each task has its own; None: there are none.
    """

    shared: Options | None = None
    per_task: Options | None = None


@cache
def adapter_section(kind: str, per_task: bool = False) -> type[Options]:
    """Return the model of the options of one adapter, made of peft's config.

    Args:
        kind: Its type.
        per_task: Whether it is one of those that tasks have for themselves.
    """
    config = _config_class(kind)
    taken = PER_TASK if per_task else TAKEN[kind]
    others = [field.name for field in dataclasses.fields(config) if field.name not in taken]
    return model_from_signature(config, others, ("type", kind), lenient=True, annotations=HINTS, ranges=RANGES)


def parse_peft(spec: object, mistakes: list[Mistake], key: str = KEY) -> Peft | None:
    """Read adapters as a recipe or Python gives them; None: none, or not valid.

    Args:
        spec: A type, its options, ``{shared: ..., per_task: ...}``, or a config of peft; None: no adapters.
        mistakes: Receives everything that is wrong; also that peft is not installed.
        key: Dotted key of the adapters.
    """
    if spec is None:
        return None
    if importlib.util.find_spec("peft") is None:
        mistakes.append(Mistake(key, "needs peft, which is not installed", 'Run `pip install "hf_mtl[peft]"`'))
        return None
    wrong: list[Mistake] = []
    if not isinstance(spec, Mapping) or not set(spec) & set(PLACES):
        shared = _parse_one(spec, wrong, key, per_task=False)
        mistakes.extend(wrong)
        return None if wrong else Peft(shared)
    wrong += [
        Mistake(f"{key}.{name}", f"unknown key '{name}'", known(PLACES, name)) for name in spec if name not in PLACES
    ]
    parts = {
        place: _parse_one(spec[place], wrong, f"{key}.{place}", place == "per_task")
        for place in PLACES
        if spec.get(place) is not None
    }
    if not parts and not wrong:
        wrong.append(Mistake(key, "names no adapter", "Give shared or per_task an adapter, such as {type: lora}"))
    mistakes.extend(wrong)
    return None if wrong else Peft(**parts)


def plain_peft(spec: object) -> Any:
    """Return adapters as a config of transformers can keep them: configs of peft as mappings.

    Args:
        spec: The adapters, with or without mistakes; None: none.
    """
    if _is_config(spec):
        return _of_config(spec)
    return (
        {name: plain_peft(value) if name in PLACES else value for name, value in spec.items()}
        if isinstance(spec, Mapping)
        else spec
    )


def peft_mistakes(spec: object) -> list[Mistake]:
    """Find what keeps a model from having adapters: their options, and whether peft is installed."""
    mistakes: list[Mistake] = []
    parse_peft(spec, mistakes)
    return mistakes


def settled_peft(spec: object, model_type: str) -> dict[str, Any] | None:
    """Return adapters without mistakes with their options, as a config keeps them; None: no adapters.

    What is off by peft's default is left out, as other versions of peft may not know it.

    Args:
        spec: The adapters.
        model_type: The backbone's, which peft may know layers of.
    """
    found = parse_peft(spec, [])
    if found is None:
        return None
    parts = {place: _settled(one, model_type) for place in PLACES if (one := getattr(found, place)) is not None}
    return parts if "per_task" in parts else parts["shared"]


def peft_config(options: Options) -> Any:
    """Make peft's config of one adapter.

    Raises:
        ValueError: If peft finds options that do not go together.
    """
    return _config_class(options.chosen)(**options.options())


def layers_by_peft(kind: str, model_type: str) -> dict[str, list[str]]:
    """Return the layers that peft's authors chose for a type of adapters and a backbone; empty: they chose none."""
    if kind != "ia3":
        return {}
    from peft.utils import constants

    layers = constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING.get(model_type)
    forward = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING.get(model_type)
    if layers is None or forward is None:
        return {}
    return {"target_modules": list(layers), "feedforward_modules": list(forward)}


def _settled(options: Options, model_type: str) -> dict[str, Any]:
    fields = type(options).model_fields
    defaults = {
        name: field.get_default(call_default_factory=True, validated_data={}) for name, field in fields.items()
    }
    found: dict[str, Any] = {
        name: value
        for name, value in options.settled().items()
        if value != defaults[name] or value not in (None, False, [], {})
    }
    if found.get("target_modules") is None:
        found = {**(layers_by_peft(options.chosen, model_type) or {"target_modules": "all-linear"}), **found}
    return {"type": options.chosen, **found}


def _parse_one(spec: object, mistakes: list[Mistake], key: str, per_task: bool) -> Options | None:
    """Read one adapter."""
    spec = plain_peft(spec)
    data = {"type": spec} if isinstance(spec, str) else made_plain(spec)
    if not isinstance(data, dict):
        allowed = f"Allowed: a type ({', '.join(sorted(TAKEN))}), or a mapping, such as {{type: lora, r: 8}}."
        mistakes.append(Mistake(key, f"found {describe(data)}", allowed))
        return None
    kind = data.get("type")
    if kind is None:
        mistakes.append(Mistake(f"{key}.type", "missing", f"Known: {', '.join(sorted(TAKEN))}."))
        return None
    if not isinstance(kind, str) or kind not in (("lora",) if per_task else TAKEN):
        mistakes.append(other_type(kind, f"{key}.type", per_task))
        return None
    wrong = [other_option(kind, name, key, per_task) for name in data if _is_other(kind, name, per_task)]
    section = adapter_section(kind, per_task)
    options = parse_options(
        section, {name: data[name] for name in data if not _is_other(kind, name, per_task)}, wrong, key
    )
    if data.get("layers_to_transform") is not None and not isinstance(data.get("target_modules"), list):
        remedy = "Name the ends of layers in it, or leave this out"
        wrong.append(Mistake(f"{key}.layers_to_transform", "goes with a list of target_modules", remedy))
    if options is not None and not wrong:
        try:
            peft_config(options)
        except (ValueError, TypeError) as error:  # in peft's own words
            wrong.append(Mistake(key, one_line(error)))
    mistakes.extend(wrong)
    return None if wrong else options


def _is_config(spec: object) -> bool:
    return dataclasses.is_dataclass(spec) and hasattr(spec, "peft_type")


def _of_config(config: Any) -> dict[str, Any]:
    """Return what a config of peft says otherwise than by default."""
    kind = str(made_plain(config.peft_type)).lower()
    found: dict[str, Any] = {"type": kind}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not field.init or field.name in METADATA or _is_default(field, value):
            continue
        # peft keeps lists of layers as sets, whose order would differ from one process to the next.
        found[field.name] = sorted(value) if isinstance(value, (set, frozenset)) else value
    return found


def _is_default(field: "dataclasses.Field[Any]", value: object) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return value is field.default or value == field.default


def _is_other(kind: str, name: str, per_task: bool) -> bool:
    """Tell whether an option is one of peft's that is not taken here."""
    taken = PER_TASK if per_task else TAKEN[kind]
    return name not in taken and any(field.name == name for field in dataclasses.fields(_config_class(kind)))


def _config_class(kind: str) -> Any:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return PEFT_TYPE_TO_CONFIG_MAPPING[kind.upper()]
