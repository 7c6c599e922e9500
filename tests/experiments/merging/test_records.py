"""Merged models among the records of a study: made once, of the runs as they are."""

import shutil
from pathlib import Path

import pytest

from hf_mtl.experiments.merging import merged_records
from hf_mtl.experiments.results import Record
from hf_mtl.inference.runs import load_model


@pytest.fixture
def folders(runs: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """The runs of two tasks, where a study has them."""
    places = {name: tmp_path / "runs" / "single_task" / "seed-4" / name for name in ("topic", "mood")}
    for name, place in places.items():
        shutil.copytree(runs[name], place)
    return places


def record(task: str, **changes: object) -> Record:
    known = {"arm": "single_task", "seed": 4, "task": task, "fold": None, "identity": f"of {task}", "flops": 10.0}
    return {**known, "steps": 3, "seconds": 1.5, "rows": {task: {"train": 40}}, "passes": None, **changes}


def test_records_say_what_the_runs_together_have_cost(folders: dict[str, Path], tmp_path: Path) -> None:
    records = {task: record(task) for task in folders}
    found = list(merged_records(tmp_path, folders, records, ["average", "ties"]))
    assert [(one["kind"], one["arm"], one["seed"], one["task"], one["fold"]) for one in found] == [
        ("merged", "average", 4, None, None),
        ("merged", "ties", 4, None, None),
    ]
    one = found[0]
    assert (one["steps"], one["flops"], one["seconds"]) == (6, 20.0, 3.0)
    assert one["rows"] == {"topic": {"train": 40}, "mood": {"train": 40}}
    assert (one["passes"], one["backward_passes"], one["cosines"]) == (None, None, None)
    assert one["parts"] == ["runs/single_task/seed-4/topic", "runs/single_task/seed-4/mood"]
    assert one["wall"] > 0
    assert list(load_model(tmp_path / "runs" / "average" / "seed-4").tasks) == ["topic", "mood"]
    assert found[0]["identity"] != found[1]["identity"]


def test_a_merged_model_is_made_again_only_of_other_runs(folders: dict[str, Path], tmp_path: Path) -> None:
    records = {task: record(task, fold=1) for task in folders}
    (first,) = merged_records(tmp_path, folders, records, ["average"])
    place = tmp_path / "runs" / "average" / "seed-4-fold-1" / "manifest.json"
    made = place.stat().st_mtime_ns
    (again,) = merged_records(tmp_path, folders, records, ["average"])
    assert place.stat().st_mtime_ns == made
    assert again == first
    changed = {**records, "mood": record("mood", fold=1, identity="another")}
    (other,) = merged_records(tmp_path, folders, changed, ["average"])
    assert place.stat().st_mtime_ns != made
    assert other["identity"] != first["identity"]
