"""What is done of a study, what is missing, and how long that will take."""

from collections.abc import Mapping, Sequence

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.compare.ledger import RUN, Ledger, State
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.place import to_be_replaced
from hf_mtl.experiments.compare.trial_run import is_lost
from hf_mtl.experiments.compare.trials import Trial, trials_of
from hf_mtl.experiments.results import Record

_ORDER: tuple[State, ...] = ("done", "running", "failed", "missing")


def listing(study: Study, workers: int = 1) -> str:
    """Say how far a study is.

    Args:
        study: The study.
        workers: Workers among which what is left is divided.

    Returns:
        A line for each trial that is not done, a line for each arm, the counts, what becomes of the runs that failed,
        and an estimate of the time left.
    """
    trials, ledger = trials_of(study), Ledger(study.folder)
    states, records = ledger.states(trials), ledger.records(trials)
    open_ = [trial for trial in trials if states[trial.claim] != "done"]
    lines = [f"{states[trial.claim]:>7}  {_line(trial, records)}" for trial in open_]
    lines += [""] * bool(lines)
    for arm in study.arms:
        of_arm = [trial for trial in trials if trial.arm.name == arm]
        took = [records[trial.claim]["wall"] for trial in of_arm if states[trial.claim] == "done"]
        each = f", {_span(sum(took) / len(took))} a run" if took else ""
        lines.append(f"{arm}: {_counts(of_arm, states)}{each}")
    failed = [trial for trial in trials if states[trial.claim] == "failed"]
    again = [trial for trial in failed if not records[trial.claim].get("final")]
    left = [trial for trial in trials if states[trial.claim] in ("running", "missing") or trial in again]
    whole = f"{len(trials)} runs in {study.folder}: {_counts(trials, states)}"
    notes = [*_of_failed(len(again), len(failed) - len(again)), *_of_others(study, trials, states)]
    return "\n".join([*lines, "", whole, *notes, _time(left, records, workers)])


def _of_failed(again: int, final: int) -> list[str]:
    """Say which of the runs that failed are tried again, and by what."""
    said = []
    if again:
        are = f"{name_count(again, 'failed run')} {'is' if again == 1 else 'are'}"
        said.append(f"{are} tried again by the same command without --list.")
    if final:
        are = f"{name_count(final, 'run')} {'has' if final == 1 else 'have'} diverged and would again"
        said.append(f"{are}: not tried again unless the recipe changes, as by a lower training.learning_rate.")
    return said


def _of_others(study: Study, trials: Sequence[Trial], states: Mapping[str, State]) -> list[str]:
    """Say which places hold runs of other settings or data."""
    said = []
    if count := len(to_be_replaced(study, trials)):
        are = f"{name_count(count, 'finished run')} of other settings or data {'is' if count == 1 else 'are'}"
        said.append(f"{are} in the place of these: trained again only with --overwrite.")
    done = [trial for trial in trials if states[trial.claim] == "done"]
    if count := sum(is_lost(study.folder / trial.place, trial.identity) for trial in done):
        are = f"{name_count(count, 'model')} of finished runs {'is' if count == 1 else 'are'}"
        said.append(f"{are} not in place, as other runs were begun there; the scores count.")
    return said


def _counts(trials: Sequence[Trial], states: Mapping[str, State]) -> str:
    found = [states[trial.claim] for trial in trials]
    return ", ".join(f"{found.count(state)} {state}" for state in _ORDER if state in found)


def _line(trial: Trial, records: Mapping[str, Record]) -> str:
    record = records.get(trial.claim)
    return trial.name if record is None else f"{trial.name}: {record['reason'].splitlines()[0]}"


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
