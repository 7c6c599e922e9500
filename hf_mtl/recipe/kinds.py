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

_RUN_BY = {
    "recipe": "Recipes are for hf-mtl train",
    "study": "Studies are for hf-mtl compare",
    "sweep": "Sweeps are for hf-mtl sweep",
}


def kind_of(file: Node) -> Kind | None:
    """Tell what a file is by its keys.

    Args:
        file: The file, with all that it extends.

    Returns:
        None where it is not clear, as where it has keys of two kinds.
    """
    keys = set(file.value)
    study, sweep = keys & OF_STUDIES, keys & OF_SWEEPS
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
    path, remedy = file.origin.file, _remedy(file, found, wanted)
    problem = f"is a {found}: it has {' and '.join(_telling(file, found))}"
    if named is not None:
        raise RecipeError(Mistake("extends", f"{path} {problem}", remedy, str(named)))
    raise RecipeError(Mistake("", problem, remedy, path))


def _telling(file: Node, kind: Kind) -> list[str]:
    """Return the keys by which a kind is told."""
    wanted = {"recipe": {"tasks"}, "study": {"arms", "base"}, "sweep": OF_SWEEPS}[kind]
    return [key for key in file.value if key in wanted]


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
