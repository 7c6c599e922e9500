"""The runs that a study asks for and has not: those that failed, and those that are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_mtl.data.columns import name_count
from hf_mtl.errors import name_classes
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import FAILED, Unit, latest_of, runs_asked
from hf_mtl.experiments.results import Record

_MOST_NAMES = 4


@dataclass(frozen=True)
class Unfinished:
    """What a study lacks.

    Args:
        failed: The runs that failed, named.
        missing: Arm, and seed or fold, of each run that has no record.
    """

    failed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Say what is lacking; empty: nothing is."""
        are = "is missing" if len(self.missing) == 1 else "are missing"
        parts = [
            f"{name_count(len(names), 'run')} {verb} ({name_classes(list(dict.fromkeys(names)), _MOST_NAMES)})"
            for names, verb in ((self.failed, "failed"), (self.missing, are))
            if names
        ]
        return f"The study is not whole: {' and '.join(parts)}." if parts else ""


def unfinished(records: Sequence[Record], question: Question, parts: Mapping[str, int]) -> Unfinished:
    """Find what a study lacks.

    Args:
        records: Its records.
        question: What it asks.
        parts: Runs of each seed and fold, by arm; of others nobody knows how many there are to be.
    """
    latest = latest_of(runs_asked(records, question))
    failed = [_name(arm, unit, task) for (arm, unit, task), found in latest.items() if found["kind"] == FAILED]
    missing = []
    for arm, count in parts.items():
        for unit in units_of(question):
            there = sum((arm, unit) == key[:2] for key in latest)
            missing += [_name(arm, unit)] * (count - there)
    return Unfinished(tuple(failed), tuple(missing))


def parts_of(records: Sequence[Record], question: Question) -> dict[str, int]:
    """Count the runs that each seed and fold of an arm is to have: not only those that have ended well.

    Where the study's folder does not tell, they are those that any seed has, with the ones that failed.

    Args:
        records: The study's records.
        question: What it asks.
    """
    tasks: dict[str, dict[str | None, None]] = {}
    for arm, _, task in latest_of(runs_asked(records, question)):
        tasks.setdefault(arm, {})[task] = None
    seen = {arm: len(found) for arm, found in tasks.items()}
    known = {**seen, **question.parts}
    return {arm: known[arm] for arm in question.arms if arm in known}


def units_of(question: Question) -> list[Unit]:
    """List the seeds and folds that each arm is to have.

    Args:
        question: What the study asks.
    """
    folds = range(question.folds) if question.folds else (-1,)
    return [Unit(seed, fold) for seed in question.seeds for fold in folds]


def _name(arm: str, unit: Unit, task: str | None = None) -> str:
    return f"{arm} {unit.name}" if task is None else f"{arm} {unit.name} {task}"
