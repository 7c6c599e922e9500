"""Tables of a sweep: the space, how far it is, and what came out."""

from pathlib import Path
from typing import Any

from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.tables import answer_tables, shown, space_table, state_table, trial_line
from tests.experiments.sweep import worlds


def trial(number: int, value: float | None, test: float | None = None, **changes: Any) -> dict[str, Any]:
    scores = {"topic": {"f1_macro": value}}
    record = {
        "kind": "trial",
        "arm": "base",
        "trial": number,
        "stage": "random",
        "state": "complete",
        "metric": "average",
        "value": value,
        "values": {"training.learning_rate": 0.00123456, "balancing.weighting": "ew"},
        "validation": scores,
        "why": "",
    }
    tested = {"test": None if test is None else {"topic": {"f1_macro": test}}, "test_value": test, "test_note": ""}
    return {**record, **tested, **changes}


def sweep(folder: Path) -> Sweep:
    return worlds.read(folder, trials=6)


def cells(table: str, row: int) -> list[str]:
    return table.splitlines()[row].split()


def test_the_space_has_the_default_beside_it(tmp_path: Path) -> None:
    search = {"training.learning_rate": {"low": 0.01, "high": 0.1}, "balancing.weighting": {"choices": ["uw", "ew"]}}
    lines = space_table(worlds.read(tmp_path, search=search)).splitlines()
    assert lines[2].split() == ["base", "training.learning_rate", "0.01", "to", "0.1", "outside"]
    assert lines[3].split() == ["balancing.weighting", "uw,", "ew", "uw"]


def test_a_state_counts_all_trials(tmp_path: Path) -> None:
    records = [trial(0, 0.2), trial(1, 0.5), trial(2, None, state="failed"), trial(3, None, state="pruned")]
    table = state_table(sweep(tmp_path), records, {"base": 1})
    assert cells(table, 2) == ["base", "6", "2", "1", "1", "1", "1", "0.5000"]


def test_a_trial_is_a_line() -> None:
    assert trial_line(trial(1, 0.5)) == (
        "base trial 1 (random): complete average 0.5000  [training.learning_rate 0.001235, balancing.weighting ew]"
    )
    failed = trial_line(trial(2, None, state="failed", why="too hot", values={}))
    assert failed == "base trial 2 (random): failed (too hot)  [as it is]"


def test_the_chosen_trial_stands_beside_the_default(tmp_path: Path) -> None:
    made = sweep(tmp_path)
    arm = {
        "states": {"complete": 4, "failed": 1, "pruned": 1},
        "default": trial(0, 0.25, 0.125, values={"training.learning_rate": 0.001}),
        "search": {item.key: str(item) for item in made.arms[0].space},
        "overlay": "chosen/base.yaml",
        "chosen": trial(3, 0.5, 0.375),
        "importance": {"training.learning_rate": 0.75, "balancing.weighting": 0.25},
        "notes": ["trial 2 failed: too hot"],
    }
    text = answer_tables({"metric": "average", "arms": {"base": arm}})
    _, scores, tasks, values, notes = text.split("\n\n")
    assert cells(scores, 2)[:7] == ["base", "6", "1", "1", "trial", "3", "chosen/base.yaml"]
    assert cells(scores, 2)[7:] == ["0.2500", "0.5000", "0.1250", "0.3750"]
    assert cells(tasks, 2) == ["base", "topic", "f1_macro", "0.2500", "0.5000", "0.1250", "0.3750"]
    assert cells(values, 2)[-3:] == ["0.001", "0.001235", "75%"]
    assert cells(values, 3)[-5:] == ["as", "it", "is", "ew", "25%"]
    assert notes == "base: trial 2 failed: too hot"


def test_an_arm_without_a_trial_has_empty_cells() -> None:
    arm = {
        "states": {"complete": 0, "failed": 6, "pruned": 0},
        "default": None,
        "search": {},
        "overlay": None,
        "chosen": None,
        "importance": None,
        "notes": [],
    }
    text = answer_tables({"metric": "average", "arms": {"base": arm}})
    assert cells(text.split("\n\n")[1], 2) == ["base", "6", "6", "0", "none"]


def test_values_are_shown_as_a_recipe_writes_them() -> None:
    assert [shown(value) for value in (1e-5, 3, None, "uw", {"type": "mlp"})] == [
        "1e-05",
        "3",
        "nothing (null)",
        "uw",
        "{type: mlp}",
    ]
