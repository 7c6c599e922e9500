"""Folders of installed packages, found without importing anything: an import would run the package's code."""

import os
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

from hf_mtl.errors import Mistake, ModelError, known

IN_PACKAGE = "python:"
_KEY = "model.backbone"


def package_folder(reference: str) -> Path:
    """Turn ``python:package.name/sub/folder`` into that folder.

    A subpackage is a folder in the folder of its package, as the import system has it too, so that only the name at
    the top has to be looked up.

    Args:
        reference: What the user wrote, ``python:`` included.

    Raises:
        ModelError: If it names no package that is installed as a folder, or no folder inside the package.
    """
    package, _, folder = reference.removeprefix(IN_PACKAGE).partition("/")
    names = package.split(".")
    if not all(name.isidentifier() for name in names):
        remedy = "Write python:package/folder, such as python:my_models/encoder"
        raise ModelError(Mistake(_KEY, f"'{reference}': '{package}' is no name of a Python package", remedy))
    roots = _folders_of(names)
    if not roots:
        remedy = f"Install it, probably with `pip install {names[0].replace('_', '-')}`"
        raise ModelError(Mistake(_KEY, f"'{reference}': Python package '{package}' is not installed", remedy))
    inside = [path for root in roots if _is_inside(path := root / folder, root)]
    if not inside:
        raise ModelError(Mistake(_KEY, f"'{reference}' leaves the package '{package}'", "Name a folder inside it"))
    found = next((path for path in inside if os.path.isdir(path)), None)  # False for a name that is too long
    if found is None:
        problem = f"'{reference}': package '{package}' has no folder '{folder}'"
        raise ModelError(Mistake(_KEY, problem, known(_subfolders(roots), folder, "Folders")))
    return found


def _folders_of(names: list[str]) -> list[Path]:
    """Return the folders of a package: one, or several of a namespace; none where it is a module or in a zip file."""
    spec = PathFinder.find_spec(names[0])
    places = spec.submodule_search_locations if spec is not None else None
    folders = [Path(place) for place in places or ()]
    for name in names[1:]:
        folders = [folder / name for folder in folders]
    return [folder for folder in folders if folder.is_dir()]


def _is_inside(path: Path, root: Path) -> bool:
    """Tell whether a path is in a folder, once ``..`` and links have been followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except ValueError:  # a null character
        return False


def _subfolders(roots: Iterable[Path]) -> list[str]:
    return [item.name for root in roots for item in root.iterdir() if item.is_dir() and item.name[:2] != "__"]
