"""What a recipe chooses by name, alone or in a mapping with its options."""

from collections.abc import Callable
from typing import Any

from hf_mtl.errors import Mistake, idle_options, known
from hf_mtl.recipe.signatures import Options
from hf_mtl.recipe.translate import validate
from hf_mtl.recipe.yaml_source import KeyPath, describe, dotted

Section = Callable[[str], type[Options]]


def named(
    spec: Any, field: str, what: str, names: list[str], section: Section, key: KeyPath, mistakes: list[Mistake]
) -> Options | None:
    """Validate a choice; None if it is not valid.

    Args:
        spec: The choice, as it is written.
        field: The key of the name in a mapping.
        what: What is chosen, for messages.
        names: The names that there are.
        section: The options of each.
        key: Key path of the choice.
        mistakes: Receives what is wrong.
    """
    spec = {field: spec} if isinstance(spec, str) else spec
    if not isinstance(spec, dict) or not isinstance(spec.get(field), str):
        remedy = f"Allowed: a name, or a mapping with {field} and its options. {known(names, '')}"
        mistakes.append(Mistake(dotted(key), f"found {describe(spec)}", remedy))
        return None
    if spec[field] not in names:
        mistakes.append(Mistake(dotted(key), f"unknown {what} '{spec[field]}'", known(names, spec[field])))
        return None
    found = validate(section(spec[field]), spec, key, mistakes)
    if found is None:
        return None
    defaults = {option: info.default for option, info in type(found).model_fields.items()}
    idle = idle_options(found.only_with, found.options(), defaults, dotted(key))
    mistakes.extend(idle)
    return None if idle else found
