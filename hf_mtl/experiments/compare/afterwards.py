"""What follows the last run of a study: merged contenders, test rows compared, and the report."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from hf_mtl.errors import HfMtlError
from hf_mtl.experiments.compare.contenders import merged_arm
from hf_mtl.experiments.compare.ledger import MERGED, ROWS, RUN, Ledger
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.records import baselines_of
from hf_mtl.experiments.compare.trial_run import is_lost
from hf_mtl.experiments.compare.trials import Trial
from hf_mtl.experiments.identity import digest
from hf_mtl.experiments.results import Record
from hf_mtl.recipe import load_recipe

Unit: TypeAlias = tuple[int, int | None]
"""A seed and a fold."""


class Side(NamedTuple):
    """What an arm has with one seed and fold.

    Args:
        runs: The record and the folder of each of its runs.
        there: Whether each folder holds that run, and not another that was made in its place.
    """

    runs: list[tuple[Record, Path]]
    there: list[bool]

    @property
    def identities(self) -> list[str]:
        """Return what its runs are."""
        return [str(record["identity"]) for record, _ in self.runs]

    @property
    def folders(self) -> dict[str, Path]:
        """Return the folder of each task's test rows."""
        return {task: folder for record, folder in self.runs for task in record["scores"]["test"]}


class Pair(NamedTuple):
    """What two arms have with one seed and fold.

    Args:
        arm: The arm.
        against: The one that it is compared with.
        unit: The seed and the fold.
        mine: What the arm has.
        theirs: What the other has.
    """

    arm: str
    against: str
    unit: Unit
    mine: Side
    theirs: Side

    @property
    def identity(self) -> str:
        """Return what tells their comparison by rows from others."""
        return digest([self.arm, self.against, sorted([*self.mine.identities, *self.theirs.identities])])


def add_merged(study: Study, ledger: Ledger, trials: Sequence[Trial], say: Callable[[str], None]) -> set[str]:
    """Merge the single-task runs of each seed and fold by the methods that the study names, and add their records.

    The runs are those of `merged_arm`.

    Args:
        study: The study.
        ledger: Its records.
        trials: Its trials.
        say: Takes what cannot be merged, and why.

    Returns:
        The identities of the records.
    """
    single = merged_arm(study.arms, study.reference) if study.file.merging else None
    if single is None:
        return set()
    from hf_mtl.experiments.merging import merged_identity, merged_records

    found: set[str] = set()
    known = ledger.identities(MERGED)
    for (seed, _), side in _sides(study, ledger, trials, single.name).items():
        records = {str(record["task"]): record for record, _ in side.runs}
        if set(records) != {part.task for part in single.parts}:
            continue  # one of them has failed
        folders = {str(record["task"]): folder for record, folder in side.runs}
        of_methods = {method: merged_identity(method, records) for method in study.file.merging}
        # What is known stays known where the runs' folders are gone, as runs do.
        found |= {identity for identity in of_methods.values() if identity is not None} & known
        missing = [method for method, identity in of_methods.items() if identity not in known]
        if missing and not all(side.there):
            say(f"The single-task runs of seed {seed} were not merged: other runs have taken the place of some.")
            continue
        try:
            for record in merged_records(study.folder, folders, records, missing, allow_code=study.allow_code):
                found.add(record["identity"])
                ledger.add(record)
        except HfMtlError as error:
            # What has trained stays; a contender that cannot be made is none.
            say(f"The single-task runs of seed {seed} were not merged: {error}")
    return found


def add_baselines(study: Study, ledger: Ledger, trials: Sequence[Trial], say: Callable[[str], None]) -> None:
    """Score the baselines beside runs of the reference that were trained before the study asked for them.

    Args:
        study: The study.
        ledger: Its records.
        trials: Its trials.
        say: Takes what cannot be scored, and why.
    """
    from hf_mtl.training import evaluate_run

    if not study.file.baselines:
        return
    for side in _sides(study, ledger, trials, study.reference).values():
        for record, folder in side.runs:
            if record.get("baselines") is not None or not record["scores"]["test"] or not all(side.there):
                continue
            try:
                found = evaluate_run(folder, split="test", baselines=True, allow_code=study.allow_code)
                tasks = load_recipe(folder / "recipe.yaml", allow_code=study.allow_code).tasks
            except HfMtlError as error:
                say(f"{folder}: the baselines could not be scored: {error}")
                continue
            ledger.add({**record, "baselines": baselines_of({"test": found}, tasks)})


def add_rows(study: Study, ledger: Ledger, trials: Sequence[Trial], merged: Collection[str] = ()) -> set[str]:
    """Compare every arm, and what was merged, with the reference by the rows of each test split, and add the records.

    Args:
        study: The study.
        ledger: Its records.
        trials: Its trials.
        merged: The identities of the records of merged models that count.

    Returns:
        The identities of the records, and of those that another reference would have: they are true still.
    """
    from hf_mtl.experiments.answer.rows import compare_rows
    from hf_mtl.training.scoring.kept_rows import TEST_ROWS

    known = _known_rows(ledger)
    sides = {name: _sides(study, ledger, trials, name) for name in study.arms}
    sides |= _merged_sides(study, ledger, merged)
    for pair in _pairs(sides, study.reference):
        have = known.get(pair.identity, {})
        if _is_whole(have, pair.mine, pair.theirs):
            continue
        folders = [folder for side in (pair.mine, pair.theirs) for folder in side.folders.values()]
        if not all([*pair.mine.there, *pair.theirs.there, *((folder / TEST_ROWS).exists() for folder in folders)]):
            continue
        seed, fold = pair.unit
        found = compare_rows(
            pair.mine.folders,
            pair.theirs.folders,
            arm=pair.arm,
            against=study.reference,
            seed=seed,
            fold=fold,
            allow_code=study.allow_code,
        )
        for record in found:
            if record["task"] not in have:  # another process may have ended between two of them
                ledger.add({**record, "identity": pair.identity})
    # A comparison that is known stays known where the runs' folders are gone.
    return {pair.identity for against in study.arms for pair in _pairs(sides, against)}


def _pairs(sides: Mapping[str, Mapping[Unit, Side]], against: str) -> Iterator[Pair]:
    """Yield what other arms can be compared with, of one."""
    theirs = sides[against]
    for arm, units in sides.items():
        for unit, mine in units.items():
            if arm != against and unit in theirs:
                yield Pair(arm, against, unit, mine, theirs[unit])


def _known_rows(ledger: Ledger) -> dict[str, dict[str | None, bool]]:
    """Return of each comparison by rows the tasks that have a record, and whether there is evidence in it."""
    found: dict[str, dict[str | None, bool]] = {}
    for record in ledger.results.all():
        if record.get("kind") == ROWS:
            found.setdefault(str(record.get("identity")), {})[record["task"]] = record.get("evidence") is not None
    return found


def _is_whole(have: Mapping[str | None, bool], mine: Side, theirs: Side) -> bool:
    """Tell whether a comparison has the record of every task, and of all together if it can."""
    common = theirs.folders.keys() & mine.folders.keys()
    together = common == theirs.folders.keys() and all(have.get(task) for task in common)
    return bool(common) and have.keys() >= common and (None in have or not together)


def _sides(study: Study, ledger: Ledger, trials: Sequence[Trial], arm: str) -> dict[Unit, Side]:
    """Return the finished runs of an arm, by seed and fold."""
    records = ledger.records(trials)
    found: dict[Unit, Side] = {}
    for trial in trials:
        record = records.get(trial.claim)
        if trial.arm.name == arm and record is not None and record["kind"] == RUN:
            side = found.setdefault((trial.seed, trial.fold), Side([], []))
            folder = study.folder / trial.place
            side.runs.append((record, folder))
            side.there.append(not is_lost(folder, trial.identity))
    return found


def _merged_sides(study: Study, ledger: Ledger, identities: Collection[str]) -> dict[str, dict[Unit, Side]]:
    """Return the merged models, by method, and by seed and fold."""
    if not identities:
        return {}
    from hf_mtl.experiments.merging import merged_folder, merged_in

    found: dict[str, dict[Unit, Side]] = {}
    for record in ledger.results.all():
        if record.get("kind") == MERGED and record["identity"] in identities:
            folder = merged_folder(study.folder, record)
            side = Side([(record, folder)], [merged_in(folder) == record["identity"]])
            found.setdefault(record["arm"], {})[record["seed"], record["fold"]] = side
    return found


def report_on(folder: Path, say: Callable[[str], None]) -> bool:
    """Let the answer be written and said.

    Args:
        folder: The study's folder.
        say: Takes the table.

    Returns:
        Whether any arm could be compared with the reference.
    """
    from hf_mtl.experiments.answer.report import write_report

    written = write_report(folder)
    say(f"{written.text}\n\n{written.places}")
    return any(not math.isnan(item.evidence.difference) for item in written.answer.comparisons.values())
