"""Kinds of YAML files, of which one is easily given where another is asked for."""

import os
from typing import Literal, TypeAlias

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe.nodes import Node, Origin

Kind: TypeAlias = Literal["recipe", "study", "sweep"]

NEEDS: dict[Kind, str] = {
    "recipe": "model and tasks",
    "study": "base and arms",
    "sweep": "base, output_dir and trials",
}
"""The keys that a file of each kind has at least."""

OF_STUDIES = frozenset({"budget", "folds", "keep", "merging", "reference", "repeats", "seeds", "smallest"})
"""Keys that a study alone has; not those that another kind has too, or may have misspelt."""
OF_SWEEPS = frozenset({"scalarisation", "search", "trials"})
"""Keys that a sweep alone has."""
OF_BOTH = frozenset({"arms", "base", "output_dir", "set"})
"""Keys that a study and a sweep have."""
_OF_ARMS_OF_SWEEPS = frozenset({"scalarisation", "search"})
_SINGLE_TASK = "single_task"
"""What an arm of a study may be, or say."""

_RUN_BY = {
    "recipe": "Recipes are for hf-mtl train",
    "study": "Studies are for hf-mtl compare",
    "sweep": "Sweeps are for hf-mtl sweep",
}


def kind_of(file: Node) -> Kind | None:
    """Tell what a file is by its keys, and those of its arms.

    Args:
        file: The file, with all that it extends.

    Returns:
        None where it is not clear, as where it has keys of two kinds. A file of which nothing tells whether it is a
        study or a sweep is a study, as a sweep has more keys.
    """
    keys = set(file.value)
    study, sweep = _telling(file, "study"), _telling(file, "sweep")
    if "tasks" in keys:
        return None if keys & {"arms", "base"} else "recipe"
    if "base" not in keys or (study and sweep):
        return None
    if sweep:
        return "sweep"
    return "study" if "arms" in keys and (study or keys <= OF_BOTH) else None


def refuse_other_kind(file: Node, wanted: Kind, named: Origin | None = None) -> None:
    """Refuse a file that is clearly of another kind, instead of each of its keys.

    Args:
        file: The file, with all that it extends.
        wanted: What is asked for.
        named: Where another file extends it; None: the command names it.

    Raises:
        RecipeError: If it is.
    """
    found = kind_of(file)
    if found is None or found == wanted:
        return
    telling = _telling(file, found)
    if wanted == "sweep" and not telling:
        return  # it may be one, whose other keys are in a file that extends it, or on the command line
    path, remedy = file.origin.file, _remedy(file, found, wanted)
    shown = [key for key in file.value if key in ("arms", "base")] if found == "study" else telling
    problem = f"is a {found}: it has {' and '.join(shown)}"
    if named is not None:
        raise RecipeError(Mistake("extends", f"{path} {problem}", remedy, str(named)))
    raise RecipeError(Mistake("", problem, remedy, path))


def _telling(file: Node, kind: Kind) -> list[str]:
    """Return the keys that no other kind has."""
    wanted = {"recipe": {"tasks"}, "study": OF_STUDIES, "sweep": OF_SWEEPS}[kind]
    found = [key for key in file.value if key in wanted]
    arms = file.value.get("arms")
    if arms is None or not isinstance(arms.value, dict):
        return found
    return found + [f"arms.{name}" for name, arm in arms.value.items() if _is_arm_of(arm, kind)]


def _is_arm_of(arm: Node, kind: Kind) -> bool:
    """Tell whether only a file of a kind has such an arm."""
    said = arm.value if isinstance(arm.value, dict) else {}
    if kind == "study":
        return arm.value == _SINGLE_TASK or _SINGLE_TASK in said
    return kind == "sweep" and any(key.partition(".")[0] in _OF_ARMS_OF_SWEEPS for key in said)


def _remedy(file: Node, found: Kind, wanted: Kind) -> str:
    base = file.value.get("base")
    such = ""
    if found == "recipe":
        such = f", with this as its base (base: {os.path.basename(file.origin.file)})"
    elif wanted == "recipe" and base is not None and isinstance(base.value, str):
        such = f", such as its base, {_beside(base)}"
    return f"Give a {wanted}{such}. {_RUN_BY[found]}."


def _beside(file: Node) -> str:
    """Return the path of a file that another one names, as the user would name it."""
    return os.path.normpath(os.path.join(os.path.dirname(file.origin.file), os.path.expanduser(file.value)))
