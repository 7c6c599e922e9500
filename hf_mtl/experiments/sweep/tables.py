"""Tables of a sweep: how far it is, and what it has come to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.plain import describe
from hf_mtl.reporting.tables import aligned

_COLUMNS = ("validation default", "chosen", "test default", "chosen")


def trial_line(record: Record) -> str:
    """Put an ended trial in a line.

    Args:
        record: As `run_trial` returns it.
    """
    value = "" if record["value"] is None else f" {record['metric']} {record['value']:.4f}"
    why = f" ({record['why']})" if record["state"] == "failed" else ""
    drawn = ", ".join(f"{key} {shown(item)}" for key, item in record["values"].items())
    name = f"{record['arm']} trial {record['trial']} ({record['stage']})"
    return f"{name}: {record['state']}{value}{why}  [{drawn or 'as it is'}]"


def space_table(sweep: Sweep) -> str:
    """Lay out what is searched in each arm, and what its default has."""
    rows = [["arm", "key", "values", "default"]]
    for arm in sweep.arms:
        default = arm.default()
        for place, item in enumerate(arm.space):
            known = shown(item.value(default[item.key])) if item.key in default else "outside"
            rows.append(["" if place else arm.name, item.key, str(item), known])
    return aligned(rows, left=4)


def state_table(sweep: Sweep, records: Sequence[Record], running: Mapping[str, int]) -> str:
    """Lay out how many trials of each arm have ended, are running, and are to come.

    Args:
        sweep: The sweep.
        records: Records of trials that have ended.
        running: Trials of each arm that have begun and have not ended.
    """
    rows = [["arm", "trials", "complete", "failed", "pruned", "running", "to come", "best"]]
    sign = 1 if sweep.maximize else -1
    for arm in sweep.arms:
        mine = [record for record in records if record["arm"] == arm.name]
        states = Counter(record["state"] for record in mine)
        values = [record["value"] for record in mine if record["state"] == "complete"]
        best = f"{max(values, key=lambda value: sign * value):.4f}" if values else ""
        begun = running.get(arm.name, 0)
        counts = [states[state] for state in ("complete", "failed", "pruned")]
        left = max(0, sweep.trials - len(mine) - begun)
        rows.append([arm.name, str(sweep.trials), *map(str, counts), str(begun), str(left), best])
    return aligned(rows, left=1)


def answer_tables(found: Mapping[str, Any]) -> str:
    """Lay out the chosen trials beside the defaults: their scores, their values, and the importance of each key.

    Args:
        found: As `answer` returns it.
    """
    parts = [f"{found['metric']}, by validation; the test was scored for the default and the chosen trial alone"]
    parts.append(_scores(found))
    parts.append(_tasks(found))
    parts.append(_values(found))
    notes = [f"{name}: {note}" for name, arm in found["arms"].items() for note in arm["notes"]]
    untested = {name: (arm["chosen"] or {}).get("test_note") for name, arm in found["arms"].items()}
    notes += [f"{name}: no test scores: {note}" for name, note in untested.items() if note]
    return "\n\n".join(parts + (["\n".join(notes)] if notes else []))


def _scores(found: Mapping[str, Any]) -> str:
    header = ["arm", "trials", "failed", "pruned", "chosen", "its values", *_COLUMNS]
    rows = [header]
    for name, arm in found["arms"].items():
        states, chosen, default = arm["states"], arm["chosen"], arm["default"]
        number = "none" if chosen is None else f"trial {chosen['trial']}"
        scores = [_number(item, key) for key in ("value", "test_value") for item in (default, chosen)]
        counts = [str(count) for count in (sum(states.values()), states["failed"], states["pruned"])]
        rows.append([name, *counts, number, arm["overlay"] or "", *scores])
    return aligned(rows, left=1)


def _tasks(found: Mapping[str, Any]) -> str:
    rows = [["arm", "task", "metric", *_COLUMNS]]
    for name, arm in found["arms"].items():
        chosen, default = arm["chosen"] or {}, arm["default"] or {}
        for task, scores in (chosen.get("validation") or {}).items():
            for metric in scores:
                cells = [
                    _cell((item.get(split) or {}).get(task, {}).get(metric))
                    for split in ("validation", "test")
                    for item in (default, chosen)
                ]
                rows.append([name, task, metric, *cells])
    return aligned(rows, left=3)


def _values(found: Mapping[str, Any]) -> str:
    rows = [["arm", "key", "values", "default", "chosen", "importance"]]
    for name, mine in found["arms"].items():
        chosen, default = ((mine[which] or {}).get("values", {}) for which in ("chosen", "default"))
        for key, words in mine["search"].items():
            cells = [shown(values[key]) if key in values else "as it is" for values in (default, chosen)]
            share = (mine["importance"] or {}).get(key)
            rows.append([name, key, words, *cells, "" if share is None else f"{100 * share:.0f}%"])
    return aligned(rows, left=5)


def _number(record: Mapping[str, Any] | None, key: str) -> str:
    return "" if record is None else _cell(record.get(key))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def shown(value: Any) -> str:
    """Show a value of a recipe key in a cell."""
    return f"{value:.4g}" if isinstance(value, float) else describe(value).strip("'")
