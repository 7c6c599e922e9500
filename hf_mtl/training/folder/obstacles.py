"""Files that lie where a run would write and are not the run's own."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_mtl.errors import Mistake
from hf_mtl.training.checkpoint import is_checkpoint
from hf_mtl.training.folder.names import DRAWN, RECIPE, of_a_run
from hf_mtl.training.folder.own_checkpoints import strangers
from hf_mtl.training.folder.run_record import RECORD, WORK, RunRecord

_NAMED = 8


def obstacles(folder: Path, record: RunRecord, goes_on: bool) -> Iterator[str]:
    """Yield what lies where the run would write and is not the run's, by name.

    Args:
        folder: The run's folder.
        record: Its record.
        goes_on: Whether the run here is resumed. Checkpoints are then looked at when its steps are known, and its
            recipe when that is compared; where its record is lost, what has the names of a run's files is its.
    """
    if os.path.lexists(folder / WORK) and not (folder / WORK).is_dir():
        yield WORK
    begun = record.begun
    if goes_on and not begun:
        return
    compared = [RECIPE] if goes_on else []
    names = of_a_run(folder).keys() - {RECORD}
    for name in sorted({*names, *DRAWN, *record.files}):
        if is_checkpoint(name):
            found = strangers(folder / name) if begun else [folder / name]
            yield from [] if goes_on else (str(path.relative_to(folder)) for path in found)
        elif os.path.lexists(folder / name) and not record.is_own(name) and name not in compared:
            yield name


def obstacle_mistake(folder: Path, record: RunRecord, found: Sequence[str], can_be_resumed: bool) -> Mistake:
    """Say what lies in a run's way, and what to do about it.

    Args:
        folder: The run's folder.
        record: Its record.
        found: What lies there, by name.
        can_be_resumed: Whether a run whose record is lost is here, and was not asked to go on.
    """
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    named = f"{folder} holds {', '.join(found[:_NAMED])}{more}"
    if record.begun:
        problem = f"{named}, where the run would write: changed since the run here wrote it, or put there by others"
    else:
        problem = f"{named}, where the run would write, and no {RECORD} says that a run of hf_mtl wrote it"
    edited = ", and train it from there if you edited it" if record.begun and found == [RECIPE] else ""
    remedy = f"Move it away{edited}, or choose another folder with training.output_dir=FOLDER"
    if can_be_resumed:
        remedy += "; --resume goes on with the run that is here"
    return Mistake("training.output_dir", problem, remedy)
