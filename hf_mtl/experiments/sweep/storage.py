"""Where the studies of a sweep are kept, and what else may lie there."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_mtl.errors import Mistake, RunError, one_line
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.file import JOURNAL, Sweep
from hf_mtl.experiments.sweep.journal import open_journal
from hf_mtl.experiments.sweep.report import RECORD
from hf_mtl.foreign_json import read_object

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

RESULTS = "results.jsonl"
IDENTITY = "sweep"
"""The attribute of a study that says what it is of."""
STUDIES = "studies"
"""The key of a sweep's record that says under which name its studies are in a database."""


def open_storage(sweep: Sweep) -> "BaseStorage":
    """Open what keeps the studies.

    Args:
        sweep: The sweep.

    Raises:
        RunError: If a database cannot be opened, or the journal is damaged.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sweep.storage == JOURNAL:
        sweep.output_dir.mkdir(parents=True, exist_ok=True)
        return open_journal(sweep.output_dir / "study.journal")
    try:
        return optuna.storages.RDBStorage(sweep.storage)
    except Exception as error:  # of sqlalchemy, the driver, or the network
        problem = f"cannot be opened ({type(error).__name__}: {one_line(error)})"
        raise RunError(Mistake("storage", problem, "Give the URL of a database that can be written.")) from error


def refuse_storage(sweep: Sweep, identity: str) -> None:
    """Refuse a database in which the studies of a new sweep cannot be kept, before its folder is made.

    Args:
        sweep: The sweep, whose folder is not there yet.
        identity: What it is.

    Raises:
        RunError: If it cannot be opened, or holds studies of another sweep, or this one's, whose folder is lost.
    """
    if sweep.storage == JOURNAL or _lies_in(sweep.output_dir, sweep.storage):
        return  # it comes to be in the folder
    storage = open_storage(sweep)
    there = {study.study_name: study for study in storage.get_all_studies()}
    for arm in sweep.arms:
        name = name_of(sweep, arm)
        for study in (there.get(name), there.get(_earlier_name(sweep, arm))):
            if study is None:
                continue
            known = study.user_attrs.get(IDENTITY, identity)
            if study.study_name == name:
                refuse_other_study(name, known, identity)
            if known == identity:
                refuse_lost(sweep, arm.name, storage.get_all_trials(study._study_id, deepcopy=False), set())


def _lies_in(folder: Path, url: str) -> bool:
    """Tell whether a database is a file in a folder itself."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:  # which opening it will say
        return False
    file = parts.database if parts.drivername.startswith("sqlite") else None
    return bool(file) and Path(str(file)).resolve().parent == folder.resolve()


def name_of(sweep: Sweep, arm: Arm) -> str:
    """Name the study of an arm. The hyperband pruner reads the name: equal sweeps have equal ones.

    In a database, which many sweeps may share, by what the sweep's record says: its folder may be moved, and have
    another path on another machine.

    Raises:
        CheckpointError: If the record is damaged; names it.
    """
    if sweep.storage == JOURNAL:
        return arm.name
    record = sweep.output_dir / RECORD
    if not record.exists():
        return f"{first_name(sweep)}/{arm.name}"
    found = read_object(record).get(STUDIES)
    return f"{found}/{arm.name}" if isinstance(found, str) else _earlier_name(sweep, arm)


def first_name(sweep: Sweep) -> str:
    """Return what the record of a new sweep says of the names of its studies: where its folder is made."""
    return sweep.output_dir.resolve().as_posix()


def _earlier_name(sweep: Sweep, arm: Arm) -> str:
    """Name the study of an arm as sweeps did whose records do not say it: by the folder as it is written."""
    return f"{sweep.output_dir.as_posix()}/{arm.name}"


def refuse_other_study(name: str, known: str, identity: str) -> None:
    """Refuse a study of another sweep.

    Args:
        name: The study's name.
        known: What it is of.
        identity: What the sweep is.

    Raises:
        RunError: If they differ.
    """
    if known != identity:
        problem = f"holds a study '{name}' of another sweep"
        raise RunError(Mistake("storage", problem, "Give another output_dir, or another storage."))


def refuse_lost(sweep: Sweep, arm: str, trials: "Sequence[FrozenTrial]", recorded: set[int]) -> None:
    """Refuse a study and results of which one lacks trials that the other has.

    Args:
        sweep: The sweep.
        arm: Name of the study's arm.
        trials: Trials of the study.
        recorded: Numbers of those in the results.

    Raises:
        RunError: If one of the two was lost, or is of another time.
    """
    ended = {trial.number for trial in trials if trial.state.is_finished()}
    for lacking, holder, other in (
        (ended - recorded, RESULTS, "the study"),
        (recorded - {trial.number for trial in trials}, "the study", RESULTS),
    ):
        if lacking:
            problem = f"{holder} lacks {len(lacking)} of the trials of '{arm}' that {other} has"
            remedy = f"Put the file back that belongs to it, or move {sweep.output_dir} away and start anew"
            raise RunError(Mistake("output_dir", problem, remedy))
