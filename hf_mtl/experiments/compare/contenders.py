"""Contenders that cost no training: encoders of single-task runs, merged. The one place that calls `merging`."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.experiments.compare.arms import Arm
from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.experiments.results import Record
from hf_mtl.recipe import Recipe

METHODS = ("average", "task_arithmetic", "ties")
_ROOM = "hf_mtl.experiments.merging"


def contender_mistakes(file: StudyFile, arms: Mapping[str, Arm], base: Recipe) -> list[Mistake]:
    """Find out what the single-task runs of a study could not be merged by.

    Args:
        file: What the study's file says.
        arms: Its arms.
        base: The base recipe.
    """
    if not file.merging:
        return []
    if not any(arm.is_single_task for arm in arms.values()):
        return [Mistake("merging", "there is no single-task arm to merge", "Add one: single_task: single_task")]
    room = _room()
    return list(room.merging_mistakes(file.merging, base)) if room is not None else []


def merged_records(
    study: Path, folders: Mapping[str, Path], records: Mapping[str, Record], methods: Sequence[str], allow_code: bool
) -> Iterator[Record]:
    """Merge the single-task runs of one seed and fold, and yield a record of each method.

    Args:
        study: The study's folder.
        folders: The folder of each task's run.
        records: Its record.
        methods: The methods.
        allow_code: Whether code that recipes name may be run.
    """
    room = _room()
    if room is not None:
        yield from room.merged_records(study, folders, records, methods, allow_code=allow_code)


def _room() -> Any:
    if find_spec(_ROOM) is None:
        return None
    from importlib import import_module

    return import_module(_ROOM)
