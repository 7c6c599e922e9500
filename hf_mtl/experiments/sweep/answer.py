"""The answer of a sweep: the chosen trial beside the default, on test rows too, and what the keys matter."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hf_mtl.errors import UserError
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.importance import importances
from hf_mtl.experiments.sweep.metric import value_of
from hf_mtl.experiments.sweep.overlay import file_of
from hf_mtl.experiments.sweep.studies import Studies
from hf_mtl.training import evaluate_run

STATES = ("complete", "failed", "pruned")


def trial_records(studies: Studies, arm: str) -> list[Record]:
    """Return the ended trials of an arm, in the order of their numbers."""
    found = [record for record in studies.results.all() if record["kind"] == "trial" and record["arm"] == arm]
    return sorted(found, key=lambda record: int(record["trial"]))


def chosen_of(records: Sequence[Record], maximize: bool) -> Record | None:
    """Return the best trial by validation, the first of equal ones; None where none was completed."""
    complete = [record for record in records if record["state"] == "complete"]
    sign = -1 if maximize else 1
    return min(complete, key=lambda record: (sign * record["value"], record["trial"]), default=None)


def answer(sweep: Sweep, studies: Studies) -> dict[str, Any]:
    """Score the chosen trials and the defaults on test rows, where that is not done, and say what came out.

    Args:
        sweep: The sweep, all of whose trials have ended.
        studies: Its studies.

    Returns:
        ``{"metric", "maximize", "trials", "arms": {arm: {"search", "states", "default", "chosen", "overlay",
        "importance", "tested", "notes"}}}``. ``search`` are the values of each key in words. ``default`` and
        ``chosen`` are records of trials with ``test``, and None where the trial was not completed, ``overlay`` the
        file of the chosen values. ``tested`` are the trials whose test scores were looked at: more than
        two if the sweep had fewer trials before, and another was chosen then.
    """
    arms = {arm.name: _of_arm(sweep, studies, arm) for arm in sweep.arms}
    return {"metric": sweep.metric, "maximize": sweep.maximize, "trials": sweep.trials, "arms": arms}


def _of_arm(sweep: Sweep, studies: Studies, arm: Arm) -> dict[str, Any]:
    records = trial_records(studies, arm.name)
    chosen = chosen_of(records, sweep.maximize)
    default = next((item for item in records if item["trial"] == 0 and item["state"] == "complete"), None)
    shares, notes = importances(studies.study(arm.name), arm.space, sweep.seed)
    states = Counter(record["state"] for record in records)
    found = {
        "search": {item.key: str(item) for item in arm.space},
        "states": {state: states[state] for state in STATES},
        "default": None if default is None else _tested(sweep, studies, default),
        "chosen": None if chosen is None else _tested(sweep, studies, chosen),
        "overlay": None if chosen is None else file_of(arm.name),
        "importance": shares,
    }
    tested = [item for item in studies.results.all() if item["kind"] == "test" and item["arm"] == arm.name]
    return {**found, "tested": [item["trial"] for item in tested], "notes": [*_notes(sweep, arm, records), *notes]}


def _tested(sweep: Sweep, studies: Studies, record: Record) -> Record:
    """Return a trial's record with its test scores, which are looked at once; what failed is tried again."""
    key = {"kind": "test", "arm": record["arm"], "trial": record["trial"]}
    scored = studies.results.find(**key)
    if scored is None:
        scored = {**key, **_test_scores(sweep, record)}
        if scored["test"] is not None:
            studies.results.add(scored)
    return {**record, **{name: scored[name] for name in ("test", "test_value", "test_note")}}


def _test_scores(sweep: Sweep, record: Record) -> dict[str, Any]:
    try:
        results = evaluate_run(sweep.output_dir / record["folder"], split="test", allow_code=sweep.allow_code)
    except UserError as error:  # such as no test rows
        return {"test": None, "test_value": None, "test_note": str(error)}
    return {"test": results["tasks"], "test_value": value_of(results, sweep.metric), "test_note": ""}


def _notes(sweep: Sweep, arm: Arm, records: Sequence[Record]) -> list[str]:
    notes = []
    if arm.replaced:
        notes.append(f"trial 0 has equal fixed weights in place of {arm.replaced}, as the arm searches such weights.")
    outside = [item.key for item in arm.space if item.key not in arm.default()]
    if outside:
        notes.append(
            f"the default's values of {', '.join(outside)} are outside the space: the sampler learned none of them."
        )
    if len(records) > sweep.trials:
        notes.append(f"it has {len(records)} trials from before, of which all count; {sweep.trials} were asked for.")
    if sweep.startup >= sweep.trials:
        notes.append(f"all trials were random: TPE begins after {sweep.startup}, and there were {sweep.trials}.")
    failed = [record for record in records if record["state"] == "failed"]
    return notes + [f"trial {record['trial']} failed: {record['why']}" for record in failed[:5]]
