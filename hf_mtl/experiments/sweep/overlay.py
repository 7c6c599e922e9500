"""What a sweep has chosen, as a file of the searched keys alone, which an arm of a study may extend."""

from collections.abc import Mapping
from typing import Any

from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.arms import Arm, value_in
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.plain import KeyPath, dump_yaml
from hf_mtl.recipe.merge import is_named
from hf_mtl.reporting.atomic import replacing

FOLDER = "chosen"
"""Where the files are in a sweep's folder."""

_TEXT = """\
# Arm {arm} of {sweep}: trial {trial} of {trials}, by {metric} {value:.4f} of validation. The searched keys alone.
# An arm of a study may extend it. Tuned arms beside arms that were not tuned are no fair comparison: give every arm
# that you compare as many trials.
"""


def file_of(arm: str) -> str:
    """Name the file of an arm, relative to the sweep's folder."""
    return f"{FOLDER}/{arm}.yaml"


def write_overlay(sweep: Sweep, arm: Arm, chosen: Record) -> None:
    """Write the file of an arm.

    Args:
        sweep: The sweep.
        arm: The arm.
        chosen: The record of its chosen trial.
    """
    path = sweep.output_dir / file_of(arm.name)
    path.parent.mkdir(exist_ok=True)
    facts = {"trial": chosen["trial"], "metric": chosen["metric"], "value": chosen["value"]}
    text = _TEXT.format(arm=arm.name, sweep=sweep.path.name, trials=sweep.trials, **facts)
    with replacing(path) as temporary:
        temporary.write_text(text + dump_yaml(overlay(arm, chosen)), "utf-8")


def overlay(arm: Arm, chosen: Record) -> dict[str, Any]:
    """Return what a trial has for the searched keys, nested as in a recipe.

    An option of a head, a method or a schedule comes with all of that: over another one it would mean nothing.

    Args:
        arm: The arm.
        chosen: The record of a trial.
    """
    # The default is the arm as it is, though the record has its values.
    recipe = arm.with_values(chosen["values"] if chosen["trial"] > 0 else {})
    written = recipe.to_dict()
    found: dict[str, Any] = {}
    for item in arm.space:
        path, value = _whole(written, item.key)
        if path is None:  # left at its default
            path, value = tuple(item.key.split(".")), value_in(recipe, item.key)
        if value != {}:  # a section of which nothing is set
            _put(found, path, value)
    return found


def _whole(written: Mapping[str, Any], key: str) -> tuple[KeyPath | None, Any]:
    """Return the path and the value of a key, or of what it is an option or an item of; None where nothing is set."""
    value: Any = written
    parts = key.split(".")
    for place, part in enumerate(parts):
        path = tuple(parts[: place + 1])
        if not isinstance(value, Mapping) or part not in value:
            return None, None
        value = value[part]
        if isinstance(value, list) or is_named(path):
            return path, value
    return path, value


def _put(target: dict[str, Any], path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        target = target.setdefault(str(part), {})
    target[str(path[-1])] = value
