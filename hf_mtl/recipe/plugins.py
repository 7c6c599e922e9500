"""Modules of the user's that register components of their own, which a recipe names: run when the user says so."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hf_mtl.errors import Mistake, RecipeError, one_line
from hf_mtl.plain import describe
from hf_mtl.recipe.extends import read_extended

Code: TypeAlias = Literal["allowed", "refused", "named"]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_ALLOW = "If you trust it, say so: --allow-code on the command line, allow_code=True in Python."
_NAMED = (
    "If you trust it, say so: --allow-code on the command line; in Python, import it. A recipe that goes on with the "
    "run names it too."
)
_FOUND = "A module is found where it is installed, on PYTHONPATH, or in the current folder."


def load_plugins(given: Any, code: Code, mistakes: list[Mistake]) -> list[str] | None:
    """Import the modules that a recipe names under ``plugins``, in their order.

    Args:
        given: What the recipe says.
        code: Whether the user allows that code which the recipe names is run. ``named``: it may be named, and is not
            run: a module that nobody has imported yet is not.
        mistakes: Receives everything that is wrong.

    Returns:
        Their names; None if one cannot be had: then nothing can be said of what they would register.
    """
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        remedy = "Allowed: a list of modules, such as [my_package.components]."
        mistakes.append(Mistake("plugins", f"found {describe(given)}", remedy))
        return None
    found = [item for place, name in enumerate(given) if (item := _import(name, f"plugins.{place}", code))]
    mistakes += found
    return None if found else list(given)


def import_plugins(path: Path) -> None:
    """Import the modules that the recipe of a run names, for whoever uses its model and not its recipe.

    Args:
        path: The recipe.

    Raises:
        RecipeError: If it cannot be read, or a module cannot be imported.
    """
    mistakes: list[Mistake] = []
    given = read_extended(path, mistakes).plain()
    load_plugins(given.get("plugins") if isinstance(given, dict) else None, "allowed", mistakes)
    if mistakes:
        raise RecipeError(mistakes)


def _import(name: str, key: str, code: Code) -> Mistake | None:
    """Import a module; say why it cannot be."""
    if not _DOTTED.fullmatch(name):
        return Mistake(key, f"'{name}' is no name of a module", "Write it as Python imports it: package.module.")
    if code == "named" and name in sys.modules:
        return None
    if code == "named":
        problem = f"'{name}' is code of your own or of others, and is not loaded"
        return Mistake(key, problem, _NAMED)
    if code == "refused":
        return Mistake(key, f"'{name}' is code of your own or of others, which is run when it is imported", _ALLOW)
    from hf_mtl.data.row_function import own_modules  # takes seconds, and few recipes name a plugin

    try:
        with own_modules():
            importlib.import_module(name)
    except Exception as error:  # whatever the user's module does
        problem = f"cannot import '{name}' ({type(error).__name__}: {one_line(error)})"
        return Mistake(key, problem, _FOUND)
    return None
