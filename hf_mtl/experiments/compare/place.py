"""The folder of a study: it belongs to one study file, however that was edited since."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hf_mtl.data.columns import name_count
from hf_mtl.errors import Mistake, RunError, name_classes
from hf_mtl.experiments.answer.current import TRIALS
from hf_mtl.experiments.answer.lines import read_records
from hf_mtl.experiments.answer.question import RESULTS
from hf_mtl.experiments.compare.ledger import RUN
from hf_mtl.experiments.compare.load import Study, resolved
from hf_mtl.experiments.compare.trials import trials_of
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


def take(study: Study, file: str | Path, say: Callable[[str], None]) -> None:
    """Make a study's folder, and keep the resolved study, its file's name and the identities of its trials in it.

    Args:
        study: The study.
        file: Its file.
        say: Takes which finished runs are to be trained again.

    Raises:
        CheckpointError: If a file in it is damaged; names it.
        RunError: If the folder cannot be written, or is of something else: a run, a sweep, or another study.
    """
    folder = study.folder
    _refuse_own_file(folder, file)
    if mistakes := place_mistakes(folder):
        raise RunError([replace(item, key="output_dir") for item in mistakes])
    trials = {trial.claim: trial for trial in trials_of(study)}
    mine = {name: trial.identity for name, trial in trials.items()}
    held = _identities(folder / TRIALS)
    records = read_records(folder / RESULTS)
    done = {str(item.get("identity")) for item in records if item.get("kind") == RUN}
    _refuse_runs(folder)
    file = os.path.relpath(os.path.realpath(file), os.path.realpath(folder))
    # The same study may have come under another name, or with a machine's other folders: nothing is lost then.
    if not _is_its_file(folder, file) and not {*held.values(), *done} <= set(mine.values()):
        _refuse_study(folder)
    again = [trials[name].name for name, old in held.items() if name in mine and old != mine[name] and old in done]
    if again:
        count = name_count(len(again), "finished run")
        say(f"Recipes or data have changed; to be trained again: {count}, {name_classes(again, _MOST_NAMES)}.")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ORIGIN).exists():
        write_json_atomic(folder / ORIGIN, {"study": Path(file).as_posix()})
    with replacing(folder / _STUDY) as temporary:
        temporary.write_text(dump_yaml(resolved(study)), "utf-8")
    # So that a report in the middle of it leaves out runs of recipes that have changed since, which are still there.
    write_json_atomic(folder / TRIALS, mine)


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
        return read_object(origin).get("study") == Path(file).as_posix()
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
