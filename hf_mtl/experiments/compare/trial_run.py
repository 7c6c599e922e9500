"""The run of a trial in its folder: begun, gone on with, or in the place of one that had another recipe."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hf_mtl.experiments.workers import output_kept
from hf_mtl.foreign_json import read_object
from hf_mtl.recipe import Recipe
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.run_folder import RunFolder

TRIAL = "trial.json"
"""The file in a run's folder that says of which trial it is."""


@dataclass(frozen=True)
class _Noted:
    """What is noted of a run's folder.

    Args:
        identity: Identity of the trial that was begun last; None: nobody knows.
        replaces: Identity of the one whose run it replaces; None: it replaces none, or has its results.
    """

    identity: str | None
    replaces: str | None = None


def train(recipe: Recipe, folder: Path, identity: str, **wishes: Any) -> None:
    """Train a trial's recipe, or go on where a worker was killed; a run of another recipe is replaced.

    Args:
        recipe: The recipe.
        folder: Its folder.
        identity: The trial's identity.
        wishes: As for `run_recipe`.
    """
    from hf_mtl.training import run_recipe

    noted, run, holds = _noted(folder), RunFolder(folder), _holds(folder)
    same = holds in (None, identity)
    if not same:
        noted = _Noted(identity, replaces=holds)
    elif noted.identity != identity:
        noted = _Noted(identity)
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomic(folder / TRIAL, asdict(noted))
    with output_kept(folder):
        # The test rows are kept with what their scores read of them, so that two runs can be compared row by row.
        run_recipe(
            recipe, resume=same and run.exists, overwrite=not same, keep_rows=bool(wishes.get("test")), **wishes
        )
    write_json_atomic(folder / TRIAL, asdict(_Noted(identity)))


def is_lost(folder: Path, identity: str) -> bool:
    """Tell whether a folder holds another run than a trial's.

    Args:
        folder: The run's folder.
        identity: The trial's identity.
    """
    return _holds(folder) not in (None, identity)


def put_back(folder: Path, identity: str) -> bool:
    """Put the run of a trial back that another was about to replace, and tell whether the folder holds it.

    Args:
        folder: The run's folder.
        identity: The trial's identity.
    """
    if is_lost(folder, identity):
        if _noted(folder).replaces != identity or not RunFolder(folder).replaced.give_back():
            return False
        write_json_atomic(folder / TRIAL, asdict(_Noted(identity)))
    return True


def _holds(folder: Path) -> str | None:
    """Return the identity of the trial whose run is in a folder; None: nobody knows.

    A kill may have come after a trial was noted, and before its run had begun: the folder then holds the one before.
    """
    noted = _noted(folder)
    begun = noted.replaces is None or RunFolder(folder).replaces_another
    return noted.identity if begun else noted.replaces


def _noted(folder: Path) -> _Noted:
    path = folder / TRIAL
    found = read_object(path) if path.exists() else {}
    return _Noted(*(None if found.get(key) is None else str(found[key]) for key in ("identity", "replaces")))
