"""What is known of a study's trials: which are done, failed, running or missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.trials import Trial
from hf_mtl.experiments.results import Record, Results
from hf_mtl.training.folder.lock_holders import read_holders

State: TypeAlias = Literal["done", "running", "failed", "missing"]

RUN = "run"
FAILED = "failed"


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
        named = {trial.identity: trial.claim for trial in trials}
        found = {}
        for record in self.results.all():
            if record.get("kind") in (RUN, FAILED) and record.get("identity") in named:
                found[named[record["identity"]]] = record
        return found

    def add(self, record: Record) -> None:
        """Add a record; one writer at a time, on all machines that share the folder."""
        while True:
            with claim(self.claims / "results") as mine:
                if mine:
                    self.results.add(record)
                    return

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
        """Tell whether a worker is at a trial, without taking the claim that it may be about to take."""
        try:
            holders = read_holders((self.claims / trial.claim).read_bytes())
        except OSError:
            return False
        return any(not holder.is_dead for holder in holders or [])
