"""Check the options that YAML, the command line or Python gave to something, in the same words for all of them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from hf_mtl.errors import Mistake, known
from hf_mtl.plain import KeyPath, describe, dotted, made_plain
from hf_mtl.signatures import LARGEST, Options
from hf_mtl.validation import validate

M = TypeVar("M", bound=BaseModel)

_PLAIN = (str, int, float, bool, type(None))


def parse_options(model: type[M], data: object, mistakes: list[Mistake], key: str, example: str = "") -> M | None:
    """Check options that YAML, the command line or Python gave; None if they are not valid.

    Args:
        model: What they should be.
        data: The options; what was parsed before comes back.
        mistakes: Receives everything that is wrong.
        key: Dotted key of the options.
        example: Options as a recipe writes them, for whoever gave no mapping.
    """
    if isinstance(data, model):
        return data
    data = made_plain(data)
    if not isinstance(data, dict):
        remedy = f"Allowed: a mapping, such as {example}." if example else "Allowed: a mapping."
        mistakes.append(Mistake(key, f"found {describe(data)}", remedy))
        return None
    wrong: list[Mistake] = []
    path: KeyPath = tuple(key.split("."))
    data = _sayable(data, path, wrong)
    found: list[Mistake] = []
    parsed = validate(model, data, path, found)
    places = {item.key for item in wrong}
    wrong += [item for item in found if item.key not in places]
    if parsed is not None and isinstance(parsed, Options):
        wrong += _idle(parsed, key)
    mistakes.extend(wrong)
    return None if wrong else parsed


def parse_partly(model: type[M], data: object, mistakes: list[Mistake], key: str, example: str = "") -> M:
    """Check options that all have defaults, as `parse_options` does, and return those that are valid.

    So that the valid ones can be looked at together although others are wrong.

    Args:
        model: What they should be.
        data: The options; what was parsed before comes back.
        mistakes: Receives everything that is wrong.
        key: Dotted key of the options.
        example: Options as a recipe writes them, for whoever gave no mapping.
    """
    wrong: list[Mistake] = []
    parsed = parse_options(model, data, wrong, key, example)
    mistakes.extend(wrong)
    if parsed is None and isinstance(data, Mapping):
        bad = {item.key.removeprefix(f"{key}.").split(".")[0] for item in wrong}
        parsed = parse_options(model, {name: data[name] for name in data if str(name) not in bad}, [], key)
    return model() if parsed is None else parsed


def below(mistake: Mistake, key: str) -> Mistake:
    """Move a mistake of a part to where the part is: ``clip`` below ``balancing.weighting``."""
    return replace(mistake, key=f"{key}.{mistake.key}" if mistake.key else key)


def by_task_mistakes(value: object, key: str, tasks: Collection[str]) -> list[Mistake]:
    """Find what is wrong with an option that is given by task: it names each task once, and no other.

    Args:
        value: The option; anything but a mapping passes.
        key: Its dotted recipe key.
        tasks: The names of the tasks.
    """
    if not isinstance(value, Mapping):
        return []
    unknown = [name for name in value if name not in tasks]
    wrong = [Mistake(f"{key}.{name}", f"unknown task '{name}'", known(tasks, name)) for name in unknown]
    absent = [name for name in tasks if name not in value]
    if absent:
        wrong.append(Mistake(key, f"nothing for {', '.join(absent)}", "Give one value for every task."))
    return wrong


def _sayable(value: Any, path: KeyPath, mistakes: list[Mistake]) -> Any:
    """Put an empty text in place of what YAML cannot say, and find whole numbers beyond anything that is counted."""
    if isinstance(value, dict):
        return {name: _sayable(item, (*path, name), mistakes) for name, item in value.items()}
    if isinstance(value, list):
        return [_sayable(item, (*path, place), mistakes) for place, item in enumerate(value)]
    if not isinstance(value, _PLAIN):
        problem = f"found {'the class ' if isinstance(value, type) else 'a '}{_kind(value).__name__}"
        mistakes.append(Mistake(dotted(path), problem, "Allowed: text, numbers, true, false, lists and mappings."))
        return ""
    # It would fail far from here, where something of that many bits or bytes is made.
    if isinstance(value, int) and abs(value) > LARGEST:
        mistakes.append(Mistake(dotted(path), f"found {describe(value)}", f"Allowed: at most {LARGEST}."))
    return value


def _kind(value: object) -> type:
    return value if isinstance(value, type) else type(value)


def _idle(options: Options, key: str) -> Iterator[Mistake]:
    """Find options that another one leaves without effect."""
    defaults = {name: field.default for name, field in type(options).model_fields.items()}
    for name, (other, needed) in options.only_with.items():
        chosen = getattr(options, other)
        if name in options.model_fields_set and getattr(options, name) != defaults[name] and chosen not in needed:
            remedy = f"It is for {other}: {' or '.join(map(_as_written, needed))}."
            yield Mistake(f"{key}.{name}", f"does nothing with {other}: {_as_written(chosen)}", remedy)


def _as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
