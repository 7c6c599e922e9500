"""The folder of a sweep: it belongs to one sweep, of which only the number of trials may grow."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, RunError
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.identity import digest, same_anywhere
from hf_mtl.experiments.places_taken import refuse_within
from hf_mtl.experiments.sweep.file import JOURNAL, Sweep
from hf_mtl.experiments.sweep.report import RECORD
from hf_mtl.experiments.sweep.storage import STUDIES, first_name
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.shown import hide_secrets
from hf_mtl.training.folder.fresh_folder import place_mistakes

_TO_MAKE_S = 0.5
_PAUSE_S = 0.05


def described(sweep: Sweep) -> dict[str, Any]:
    """Return all that makes a sweep's trials what they are, as plain values: not how many there are."""
    keys = ("metric", "maximize", "startup", "seed", "pruning")
    found = {
        **{key: getattr(sweep, key) for key in keys},
        "storage": hide_secrets(sweep.storage),
        "search": {arm.name: {item.key: str(item) for item in arm.space} for arm in sweep.arms},
        "recipes": {arm.name: _without_token(same_anywhere(arm.node, sweep.output_dir)) for arm in sweep.arms},
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def identity(sweep: Sweep) -> str:
    """Return a digest of what the sweep is."""
    return digest(described(sweep))


def take(sweep: Sweep) -> None:
    """Make the folder of a sweep, or find that it is this sweep's.

    Raises:
        RunError: If it holds another sweep, or something else, or cannot be written.
    """
    refuse_other(sweep)
    record = sweep.output_dir / RECORD
    if record.exists():
        return
    sweep.output_dir.mkdir(parents=True, exist_ok=True)
    if sweep.storage == JOURNAL:
        write_json_atomic(record, described(sweep))
        return
    while not record.exists():
        # By one worker alone: on two machines the folder may have two paths, and so two names.
        with claim(sweep.output_dir / "claims" / "record") as mine:
            if mine and not record.exists():
                write_json_atomic(record, {**described(sweep), STUDIES: first_name(sweep)})
        time.sleep(_PAUSE_S)


def refuse_other(sweep: Sweep) -> None:
    """Refuse a folder that is not this sweep's, and cannot become so; writes nothing.

    Raises:
        RunError: If it holds another sweep, or something else, lies in a folder of one, or cannot be written.
    """
    folder, record = sweep.output_dir, sweep.output_dir / RECORD
    if mistakes := place_mistakes(folder):
        raise RunError([replace(item, key="output_dir") for item in mistakes])
    mine = described(sweep)
    if _is_there(record):
        found = _read(record)
        if isinstance(found, dict):
            found.pop(STUDIES, None)  # it stays what it was, wherever the folder is
        if changed := _changes(found, mine):
            problem = f"{folder} holds a sweep with other values, or other content of files, of {', '.join(changed)}"
            raise RunError(Mistake("output_dir", problem, "Give another folder, or move that one away."))
        return
    refuse_within(folder)
    if folder.exists() and any(folder.iterdir()):
        problem = f"{folder} is not empty, and holds no sweep"
        raise RunError(Mistake("output_dir", problem, "Give another folder."))


def _is_there(record: Path) -> bool:
    """Tell whether a sweep has been here; another worker may be just making its folder."""
    end = time.monotonic() + _TO_MAKE_S
    while not record.exists():
        if not record.parent.is_dir() or not any(record.parent.iterdir()) or time.monotonic() > end:
            return False
        time.sleep(_PAUSE_S)
    return True


def _read(record: Path) -> Any:
    try:
        return json.loads(record.read_text("utf-8"))
    except ValueError as error:
        raise RunError(Mistake("output_dir", f"{record} is damaged ({error})", "Give another folder.")) from error


def _changes(old: Any, new: Any, key: str = "") -> list[str]:
    """Name the keys whose values differ, at most five."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*new, *(name for name in old if name not in new)]
        found = [
            change
            for name in names
            for change in _changes(old.get(name), new.get(name), f"{key}.{name}" if key else name)
        ]
        return found[:5]
    return [] if old == new else [key]


def _without_token(recipe: dict[str, Any]) -> dict[str, Any]:
    return {**recipe, "training": {key: value for key, value in recipe["training"].items() if key != "hub_token"}}
