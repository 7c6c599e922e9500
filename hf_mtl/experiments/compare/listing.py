"""What is done of a study, what is missing, and how long that will take."""

from collections.abc import Mapping, Sequence

from hf_mtl.experiments.compare.ledger import FAILED, RUN, Ledger, State
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.trials import Trial, trials_of
from hf_mtl.experiments.results import Record

_ORDER: tuple[State, ...] = ("done", "running", "failed", "missing")


def listing(study: Study, workers: int = 1) -> str:
    """Say how far a study is.

    Args:
        study: The study.
        workers: Workers among which what is left is divided.

    Returns:
        A line for each trial that is not done, the counts, and an estimate of the time left, as text.
    """
    trials, ledger = trials_of(study), Ledger(study.folder)
    states, records = ledger.states(trials), ledger.records(trials)
    lines = [f"{states[trial.claim]:>7}  {_line(trial, records)}" for trial in trials]
    counts = {state: list(states.values()).count(state) for state in _ORDER}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    left = [trial for trial in trials if states[trial.claim] in ("running", "missing")]
    return "\n".join([*lines, "", f"{len(trials)} runs in {study.folder}: {said}", _time(left, records, workers)])


def _line(trial: Trial, records: Mapping[str, Record]) -> str:
    record = records.get(trial.claim)
    if record is None:
        return trial.name
    if record["kind"] == FAILED:
        return f"{trial.name}: {record['reason'].splitlines()[0]}"
    return f"{trial.name}: {record['steps']:,} steps, {_span(record['wall'])}"


def _time(left: Sequence[Trial], records: Mapping[str, Record], workers: int) -> str:
    """Estimate the time left by what finished runs of the same arm and task have taken, or else of any."""
    if not left:
        return "Nothing is left to do."
    walls: dict[tuple[str, str | None], list[float]] = {}
    for record in records.values():
        if record["kind"] == RUN:
            walls.setdefault((record["arm"], record["task"]), []).append(record["wall"])
    every = [wall for found in walls.values() for wall in found]
    if not every:
        return "How long that takes is known once a run is finished."
    seconds = 0.0
    for trial in left:
        found = walls.get((trial.arm.name, trial.part.task), every)
        seconds += sum(found) / len(found)
    return f"About {_span(seconds / workers)} left with {workers} worker{'s' * (workers > 1)}."


def _span(seconds: float) -> str:
    """Write a time in the words that a reader counts in."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
