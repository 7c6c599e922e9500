"""What is known of a study's trials: which are done, failed, running or missing."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.trials import Trial
from hf_mtl.experiments.results import Record, Results
from hf_mtl.reporting.atomic import replacing

State: TypeAlias = Literal["done", "running", "failed", "missing"]

RUN = "run"
FAILED = "failed"
MERGED = "merged"
ROWS = "rows"

_MOMENT_S = 0.02


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in ("identity", "arm", "seed", "task", "fold"))


def _is_asked(record: Record, asked: Collection[tuple[Any, ...]], methods: Collection[str]) -> bool:
    """Tell whether a record is of an arm, seed and fold of these, or of what a method merged of such runs.

    A comparison by rows is, if both of its arms are.
    """
    arm, *unit = (record.get(name) for name in ("arm", "seed", "fold"))
    is_merged = arm in methods and tuple(unit) in {place[1:] for place in asked}
    other = record.get("against", arm)
    return ((arm, *unit) in asked or is_merged) and (other == arm or (other, *unit) in asked)


class Ledger:
    """The records of a study's trials, which any number of workers read and add to.

    Args:
        folder: The study's folder.
    """

    def __init__(self, folder: Path):
        self.results = Results(folder / "results.jsonl")
        self.claims = folder / "claims"

    def records(self, trials: Sequence[Trial]) -> dict[str, Record]:
        """Return the newest record of each trial that has one, by its claim; of other recipes none counts.

        Args:
            trials: The trials.
        """
        # Not by the identity alone: two arms may have the same recipe of a task.
        named = {_key({**trial.key, "identity": trial.identity}): trial.claim for trial in trials}
        found = {}
        for record in self.results.all():
            if record.get("kind") in (RUN, FAILED) and (name := named.get(_key(record))) is not None:
                found[name] = record
        return found

    def identities(self, kind: str) -> set[str | None]:
        """Return the identities of the records of a kind.

        Args:
            kind: ``merged``, say.
        """
        return {record.get("identity") for record in self.results.all() if record.get("kind") == kind}

    def add(self, record: Record) -> None:
        """Add a record; one writer at a time, on all machines that share the folder."""
        with self._writing():
            self.results.add(record)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        while True:
            with claim(self.claims / "results") as mine:
                if mine:
                    yield
                    return
            time.sleep(_MOMENT_S)

    def set_aside(self, trials: Sequence[Trial], others: Collection[str]) -> int:
        """Move records of recipes or data that have changed since, and what was made of their runs, to a file beside.

        Those of arms, seeds and folds that the study has no longer stay: it may have them again.

        Args:
            trials: The trials.
            others: Identities of records that are no trial's, and count.

        Returns:
            How many of the records that were moved are of runs that have changed; what was merged or compared is made
            again where it is asked for.
        """
        with self._writing():
            newest = list(self.records(trials).values())
            asked = {(trial.arm.name, trial.seed, trial.fold) for trial in trials}
            kept: list[Record] = []
            gone: list[Record] = []
            every = self.results.all()
            methods = {str(record["arm"]) for record in every if record.get("kind") == MERGED}
            for record in every:
                stays = record.get("identity") in others or record in newest or not _is_asked(record, asked, methods)
                (kept if stays else gone).append(record)
            if gone:
                earlier = Results(self.results.path.with_name("earlier.jsonl"))
                for record in gone:
                    earlier.add(record)
                with replacing(self.results.path) as temporary:
                    temporary.touch()
                    whole = Results(temporary)
                    for record in kept:
                        whole.add(record)
            current = {record["identity"] for record in kept}
            runs = [record for record in gone if record.get("kind") in (RUN, FAILED)]
            return sum(record.get("identity") not in current for record in runs)  # the others have a newer record

    def states(self, trials: Sequence[Trial]) -> dict[str, State]:
        """Tell the state of each trial, by its claim.

        Args:
            trials: The trials.
        """
        records = self.records(trials)
        return {trial.claim: self._state(trial, records) for trial in trials}

    def _state(self, trial: Trial, records: Mapping[str, Record]) -> State:
        record = records.get(trial.claim)
        if record is not None and record["kind"] == RUN:
            return "done"
        if self._is_claimed(trial):
            return "running"
        return "missing" if record is None else "failed"

    def _is_claimed(self, trial: Trial) -> bool:
        """Tell whether a worker is at a trial.

        By the lock itself: the process that a file names may be long dead, or on another machine. For that the claim
        is taken where it is free, for as long as it takes to give it back; see `Worker.work`.
        """
        path = self.claims / trial.claim
        if not path.exists():
            return False
        with claim(path) as mine:
            return not mine
