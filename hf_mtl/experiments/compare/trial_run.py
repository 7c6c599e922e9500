"""The run of a trial in its folder: begun, gone on with, or in the place of one that had another recipe."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hf_mtl.experiments.identity import digest
from hf_mtl.experiments.workers import output_kept
from hf_mtl.foreign_json import read_object
from hf_mtl.recipe import Recipe
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.names import RECIPE, RESULTS
from hf_mtl.training.folder.run_folder import RunFolder

TRIAL = "trial.json"
"""The file in a run's folder that says of which trial it is."""


@dataclass(frozen=True)
class _Noted:
    """What is noted of a run's folder.

    Args:
        identity: Identity of the trial that was asked for last; None: nobody knows.
        replaces: Identity of the one whose run it replaces; None: it replaces none, or is at its end.
        seal: What told that run from any other.
        aside: Where the run was kept that this one had replaced in turn; None: it had replaced none.
    """

    identity: str | None = None
    replaces: str | None = None
    seal: str | None = None
    aside: str | None = None


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
        noted = _Noted(identity, holds, _seal(folder), _aside(folder))
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

    A kill may have come after a trial was noted and before its run had begun, or after it had ended and before that
    was noted.
    """
    noted, aside = _noted(folder), _aside(folder)
    if noted.replaces is None:
        return noted.identity
    if aside != noted.aside:  # moved away for the new one, or removed at its end
        begun = aside is None or RunFolder(folder).replaces_another
    else:
        begun = aside is None and _seal(folder) != noted.seal
    return noted.identity if begun else noted.replaces


def _aside(folder: Path) -> str | None:
    place = RunFolder(folder).replaced.place
    return None if place is None else place.name


def _seal(folder: Path) -> str:
    """Return the digest of a run's recipe and results, which no other run has."""
    files = [folder / name for name in (RECIPE, RESULTS)]
    return digest([path.read_text("utf-8") if path.exists() else None for path in files])


def _noted(folder: Path) -> _Noted:
    path = folder / TRIAL
    found = read_object(path) if path.exists() else {}
    known = {item.name: found.get(item.name) for item in fields(_Noted)}
    return _Noted(**{name: None if value is None else str(value) for name, value in known.items()})
