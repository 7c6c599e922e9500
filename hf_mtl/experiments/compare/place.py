"""The folder of a study: it belongs to one study file, however that was edited since."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from hf_mtl.data.columns import name_count
from hf_mtl.errors import Mistake, RunError, name_classes
from hf_mtl.experiments.answer.current import TRIALS
from hf_mtl.experiments.answer.lines import read_records
from hf_mtl.experiments.answer.question import RESULTS
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.ledger import RUN
from hf_mtl.experiments.compare.load import Study, resolved
from hf_mtl.experiments.compare.trial_run import is_lost, put_back
from hf_mtl.experiments.compare.trials import Trial, trials_of
from hf_mtl.experiments.places_taken import refuse_within
from hf_mtl.foreign_json import read_object
from hf_mtl.plain import dump_yaml
from hf_mtl.reporting.atomic import replacing
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.fresh_folder import place_mistakes
from hf_mtl.training.folder.run_record import RunRecord

ORIGIN = "origin.json"
"""The file in a study's folder that names the study's own file, relative to the folder."""

_STUDY = "study.yaml"
_SWEEP = "sweep.json"
_MOST_NAMES = 10
Place: TypeAlias = tuple[Any, ...]
"""Arm, seed, task and fold of a run."""
_AGAIN = "Give another output_dir, or have them trained again with --overwrite"


def take(study: Study, file: str | Path, say: Callable[[str], None], overwrite: bool = False) -> None:
    """Make a study's folder, and keep the resolved study, its file's name and the identities of its trials in it.

    Args:
        study: The study.
        file: Its file.
        say: Takes which finished runs are to be trained again, and which are there no more.
        overwrite: Whether finished runs of other settings or data may be replaced.

    Raises:
        CheckpointError: If a file in it is damaged; names it.
        RunError: As `refuse_place`.
    """
    again = refuse_place(study, file, overwrite)
    if again:
        say(f"Recipes or data have changed; to be trained again: {_counted(again)}.")
    folder, trials, finished = study.folder, trials_of(study), _finished(study.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ORIGIN).exists():
        write_json_atomic(folder / ORIGIN, {"study": _seen_from(folder, file)})
    with replacing(folder / _STUDY) as temporary:
        temporary.write_text(dump_yaml(resolved(study)), "utf-8")
    # So that a report in the middle of it leaves out runs of recipes that have changed since, which are still there.
    write_json_atomic(folder / TRIALS, {trial.claim: trial.identity for trial in trials})
    _put_back(study, [trial for trial in trials if trial.identity in finished.get(_place_of(trial.key), ())], say)


def refuse_place(study: Study, file: str | Path, overwrite: bool = False) -> list[str]:
    """Refuse a folder that a study cannot take; nothing is written.

    Args:
        study: The study.
        file: Its file.
        overwrite: Whether finished runs of other settings or data may be replaced.

    Returns:
        The names of trials in whose places there are such runs.

    Raises:
        CheckpointError: If a file in it is damaged; names it.
        RunError: If the folder cannot be written, or is of something else: a run, a sweep, or another study; or if
            finished runs would be replaced unasked.
    """
    folder = study.folder
    _refuse_own_file(folder, file)
    if mistakes := place_mistakes(folder):
        raise RunError([replace(item, key="output_dir") for item in mistakes])
    _refuse_runs(folder)
    refuse_within(folder)
    trials = trials_of(study)
    there = {*_identities(folder / TRIALS).values(), *_done(folder)}
    # The same study may have come under another name, or with a machine's other folders: nothing is lost then.
    if not _is_its_file(folder, _seen_from(folder, file)) and not there <= {trial.identity for trial in trials}:
        _refuse_study(folder)
    again = to_be_replaced(study, trials)
    if again and not overwrite:
        problem = f"{folder} holds runs of other settings or data: {_counted(again)}"
        raise RunError(Mistake("output_dir", problem, _AGAIN))
    return again


def to_be_replaced(study: Study, trials: Sequence[Trial]) -> list[str]:
    """Return the names of trials in whose places there are finished runs of other settings or data.

    Once that was allowed, a trial is the folder's own, and it is not asked again.

    Args:
        study: The study.
        trials: Its trials.
    """
    agreed, finished = _identities(study.folder / TRIALS), _finished(study.folder)
    return [
        trial.name
        for trial in trials
        # By the place: another arm may have the same run, in a place of its own.
        if (there := finished.get(_place_of(trial.key))) is not None
        and trial.identity not in there
        and agreed.get(trial.claim) != trial.identity
    ]


def _put_back(study: Study, done: Sequence[Trial], say: Callable[[str], None]) -> None:
    """Put finished runs back whose replacing was broken off, now that they are asked for again."""
    lost = []
    for trial in done:
        folder = study.folder / trial.place
        if is_lost(folder, trial.identity):
            with claim(study.folder / "claims" / trial.claim) as mine:
                if not mine or not put_back(folder, trial.identity):
                    lost.append(trial.name)
    if lost:
        say(f"Scores that count are of models that other runs have replaced: {_counted(lost)}.")


def _counted(names: Sequence[str]) -> str:
    return f"{name_count(len(names), 'finished run')}, {name_classes(names, _MOST_NAMES)}"


def _seen_from(folder: Path, file: str | Path) -> str:
    """Return the path of a study's file relative to its folder."""
    return Path(os.path.relpath(os.path.realpath(file), os.path.realpath(folder))).as_posix()


def _done(folder: Path) -> set[str]:
    """Return the identities of finished runs."""
    return {identity for of_place in _finished(folder).values() for identity in of_place}


def _finished(folder: Path) -> dict[Place, set[str]]:
    """Return the identities of finished runs by their places."""
    found: dict[Place, set[str]] = {}
    for record in read_records(folder / RESULTS):
        if record.get("kind") == RUN:
            found.setdefault(_place_of(record), set()).add(str(record.get("identity")))
    return found


def _place_of(key: Mapping[str, Any]) -> Place:
    return tuple(key.get(name) for name in ("arm", "seed", "task", "fold"))


def is_known(study: Study) -> bool:
    """Tell whether all of a study's runs have been asked for before, of the same recipes and files.

    Args:
        study: The study.

    Raises:
        DataError: If a file is missing.
    """
    held = set(_identities(study.folder / TRIALS).values())
    return bool(held) and held >= {trial.identity for trial in trials_of(study)}


def _refuse_own_file(folder: Path, file: str | Path) -> None:
    """Refuse to write the resolved study over its file; the one that a study has written may be run itself."""
    own = os.path.realpath(folder / _STUDY) == os.path.realpath(file)
    if own and not (folder / ORIGIN).exists():
        problem = f"{folder} holds the study's own file, over which {_STUDY} would be written"
        raise RunError(Mistake("output_dir", problem, "Give another folder, or rename the file"))


def _identities(path: Path) -> dict[str, str]:
    found = read_object(path) if path.exists() else {}
    return {name: str(identity) for name, identity in found.items()}


def _is_its_file(folder: Path, file: str) -> bool:
    """Tell whether a folder is of a study's file; of one that was begun before files were noted nobody knows."""
    origin = folder / ORIGIN
    if origin.exists():
        return read_object(origin).get("study") == file
    return (folder / TRIALS).exists()


def _refuse_runs(folder: Path) -> None:
    """Refuse a folder whose files are a run's or a sweep's, or lie in a run's."""
    problem = None
    if (folder / _SWEEP).exists():
        problem = f"{folder} holds a sweep"
    elif around := next((path for path in (folder, *folder.resolve().parents) if RunRecord(path).begun), None):
        problem = f"{folder} holds a run" if around == folder else f"{folder} lies in the folder of a run, {around}"
    if problem is not None:
        raise RunError(Mistake("output_dir", problem, "Give another output_dir, or move that one away"))


def _refuse_study(folder: Path) -> None:
    origin = folder / ORIGIN
    of = f", of {read_object(origin).get('study')} (seen from there)" if origin.exists() else ""
    same = f"; if it is the same study, whose file has moved, remove {origin}" if origin.exists() else ""
    problem = f"{folder} holds another study{of}, with runs that this one does not ask for"
    raise RunError(Mistake("output_dir", problem, f"Give another output_dir, or move that one away{same}"))
