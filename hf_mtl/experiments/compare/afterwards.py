"""What follows the last run of a study: merged contenders, test rows compared, and the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hf_mtl.errors import HfMtlError
from hf_mtl.experiments.compare.contenders import merged_records
from hf_mtl.experiments.compare.ledger import RUN, Ledger
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.trials import Trial, digest
from hf_mtl.experiments.results import Record

Group = list[tuple[Trial, Record]]


def add_merged(study: Study, ledger: Ledger, trials: Sequence[Trial], say: Callable[[str], None]) -> set[str]:
    """Merge the single-task runs of each seed and fold by the methods that the study names, and add their records.

    Args:
        study: The study.
        ledger: Its records.
        trials: Its trials.
        say: Takes what cannot be merged, and why.

    Returns:
        The identities of the records.
    """
    if not study.file.merging:
        return set()
    found: set[str] = set()
    single = next(name for name, arm in study.arms.items() if arm.is_single_task)
    known = {record["identity"] for record in ledger.results.all() if record.get("kind") == "merged"}
    for group in _groups(ledger, trials, single).values():
        records = {str(trial.part.task): record for trial, record in group}
        if set(records) != set(study.tasks):
            continue  # one of them has failed
        folders = {str(trial.part.task): study.folder / trial.place for trial, _ in group}
        try:
            for record in merged_records(study.folder, folders, records, study.file.merging, study.allow_code):
                found.add(record["identity"])
                if record["identity"] not in known:
                    ledger.add(record)
        except HfMtlError as error:
            # What has trained stays; a contender that cannot be made is none.
            say(f"The single-task runs of seed {group[0][0].seed} were not merged: {error}")
    return found


def add_rows(study: Study, ledger: Ledger, trials: Sequence[Trial]) -> set[str]:
    """Compare every arm with the reference by the rows of each test split, and add the records.

    Args:
        study: The study.
        ledger: Its records.
        trials: Its trials.

    Returns:
        The identities of the records.
    """
    from hf_mtl.experiments.answer.rows import compare_rows
    from hf_mtl.training.scoring.kept_rows import TEST_ROWS

    known = {record.get("identity") for record in ledger.results.all() if record.get("kind") == "rows"}
    theirs = _groups(ledger, trials, study.reference)
    identities = set()
    for arm in study.arms:
        for key, group in _groups(ledger, trials, arm).items() if arm != study.reference else ():
            identity = digest([sorted(record["identity"] for _, record in (*group, *theirs.get(key, [])))])
            places = [study.folder / trial.place / TEST_ROWS for trial, _ in (*group, *theirs.get(key, []))]
            if key not in theirs or not all(path.exists() for path in places):
                continue
            identities.add(identity)
            if identity in known:
                continue
            seed, fold = key
            found = compare_rows(
                _folders(study, group),
                _folders(study, theirs[key]),
                arm=arm,
                against=study.reference,
                seed=seed,
                fold=fold,
                allow_code=study.allow_code,
            )
            for record in found:
                ledger.add({**record, "identity": identity})
    return identities


def _groups(ledger: Ledger, trials: Sequence[Trial], arm: str) -> dict[tuple[int, int | None], Group]:
    """Return the finished trials of an arm, by seed and fold."""
    records = ledger.records(trials)
    found: dict[tuple[int, int | None], Group] = {}
    for trial in trials:
        record = records.get(trial.claim)
        if trial.arm.name == arm and record is not None and record["kind"] == RUN:
            found.setdefault((trial.seed, trial.fold), []).append((trial, record))
    return found


def _folders(study: Study, group: Group) -> Mapping[str, Path]:
    """Return where each task's run lies."""
    return dict(_each(study, group))


def _each(study: Study, group: Group) -> Iterator[tuple[str, Path]]:
    for trial, record in group:
        for task in record["scores"]["test"]:
            yield task, study.folder / trial.place


def report_on(folder: Path, say: Callable[[str], None]) -> None:
    """Let the answer be written and said. The one place that calls `answer`.

    Args:
        folder: The study's folder.
        say: Takes the table.
    """
    if find_spec("hf_mtl.experiments.answer.report") is None:
        say(f"All runs are in {folder / 'results.jsonl'}.")
        return
    from importlib import import_module

    say(import_module("hf_mtl.experiments.answer.report").report(folder))
