"""A diagnosis of a run with a task of every type, and of its checkpoint."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.errors import RunError, UserError
from hf_mtl.experiments.diagnose import diagnose_runs, write_diagnosis
from hf_mtl.experiments.diagnose.figures import draw_diagnosis
from hf_mtl.experiments.diagnose.subjects import run_names
from hf_mtl.training import evaluate_run
from tests.experiments.diagnose import world as of_world
from tests.training import runs


def test_it_tells_of_every_run_task_and_layer(diagnosis: dict[str, Any]) -> None:
    assert [run["name"] for run in diagnosis["runs"]] == ["run/checkpoint-4", "run"]
    assert diagnosis["rows"] == dict.fromkeys(of_world.TYPES, 16)
    assert {(probe["run"], probe["task"]) for probe in diagnosis["probes"]} == {
        (run, task) for run in ("run/checkpoint-4", "run") for task in of_world.TYPES
    }
    assert all(len(probe["layers"]) == 3 for probe in diagnosis["probes"])
    chance = {probe["task"]: probe["chance"] for probe in diagnosis["probes"]}
    assert 0 < chance["sequence_classification"] < 0.6
    assert math.isnan(chance["regression"]) or abs(chance["regression"]) < 0.2
    clustered = {item["task"] for item in diagnosis["clusters"]}
    assert clustered == {"sequence_classification", "ordinal_classification", "token_classification"}


def test_a_probe_stands_beside_the_score_that_evaluate_gives(world: Path, diagnosis: dict[str, Any]) -> None:
    scores = evaluate_run(world / "run")["tasks"]
    found = {probe["task"]: probe for probe in diagnosis["probes"] if probe["run"] == "run"}
    for task, probe in found.items():
        assert probe["model"] == pytest.approx(scores[task][probe["metric"]], abs=1e-6), task


def test_a_layer_is_like_itself_and_a_run_like_its_checkpoint(diagnosis: dict[str, Any]) -> None:
    pairs = {(pair["a"], pair["b"]): pair for pair in diagnosis["cka"]}
    own, both = pairs["run", "run"], pairs["run/checkpoint-4", "run"]
    assert np.diagonal(own["debiased"]) == pytest.approx(1)
    assert own["linear"] == pytest.approx(np.transpose(own["linear"]))
    assert both["rows"] == 16 * len(of_world.TYPES)
    assert both["debiased"][0][0] > 0.9
    assert set(both["by_task"]) == set(of_world.TYPES)


def test_heads_with_layers_of_their_own_are_compared_there(diagnosis: dict[str, Any]) -> None:
    [_, heads] = diagnosis["heads"]
    rows = {name for name, sample in of_world.TYPES.items() if sample.task.outputs_per == "row"}
    assert set(heads["tasks"]) == rows
    assert set(heads["features"].values()) == {"what its last layer reads"}
    values = np.asarray(heads["debiased"])
    assert np.diagonal(values) == pytest.approx(1)
    assert (values[~np.eye(len(values), dtype=bool)] < 0.999).all()


def test_it_is_the_same_every_time_and_files_hold_it(world: Path, tmp_path: Path) -> None:
    kept = ("ordinal_classification", "regression", "token_classification")
    left_out = [f"tasks.{name}=null" for name in of_world.TYPES if name not in kept]
    found, again = (diagnose_runs([str(world / "run")], left_out, rows=12) for _ in range(2))
    files = write_diagnosis(found, tmp_path / "found")
    assert files[0] == "diagnosis.json"
    names = {f"figures/{name}.png" for name in ("cka", "heads", "subspaces", "probes", "clusters")}
    assert set(files[1:]) == names
    assert all((tmp_path / "found" / name).stat().st_size > 1000 for name in names)
    write_diagnosis(again, tmp_path / "again")
    written = [(tmp_path / name / "diagnosis.json").read_bytes() for name in ("found", "again")]
    assert written[0] == written[1]
    assert json.loads(written[0])["rows"]["regression"] == 12


def test_early_signals_are_drawn_where_there_are_any(diagnosis: dict[str, Any], tmp_path: Path) -> None:
    signals = {"step": 10, "score": 0.5, "loss": 1.0, "fall": math.nan, "final": 0.7}
    early = {**diagnosis["early"], "runs": {"run": {"steps": 100, "tasks": {"a": signals}}}}
    empty = {key: [] for key in ("cka", "heads", "subspaces", "probes", "clusters", "task_silhouettes")}
    assert draw_diagnosis({**empty, "early": early}, tmp_path) == ["early.png"]
    assert draw_diagnosis({**empty, "early": diagnosis["early"]}, tmp_path) == []


@pytest.mark.parametrize(
    ("paths", "options", "problem"),
    [
        (["run", "run/../run"], {}, "is given twice"),
        (["run"], {"rows": 7}, "--rows: found 7"),
        (["run"], {"split": "test"}, "no task has a split 'test'"),
        (["run", "nowhere"], {}, "nowhere: no such file or folder"),
        (["run"], {"overrides": ["model.head=vip"]}, "model.head"),
    ],
)
def test_mistakes_are_said(world: Path, paths: list[str], options: dict[str, Any], problem: str) -> None:
    with runs.inside(world), pytest.raises((UserError, RunError), match=problem):
        diagnose_runs(paths, **options)


@pytest.mark.slow
def test_runs_of_other_encoders_tasks_and_adapters_read_the_same_rows(world: Path, tmp_path: Path) -> None:
    with runs.own_cache(tmp_path), runs.inside(tmp_path):
        tasks = of_world.write_data(tmp_path)
        few = {name: tasks[name] for name in ("regression", "token_classification", "multiple_choice")}
        runs.run_recipe(of_world.write_recipe(tmp_path, "decoder", few, of_world.GPT2))
        runs.run_recipe(of_world.write_recipe(tmp_path, "own", few, peft=of_world.OWN_ADAPTERS))
        found = diagnose_runs([str(world / "run"), "decoder", "own"], rows=16)
    pairs = {(pair["a"], pair["b"]): pair for pair in found["cka"]}
    run, decoder, own = [item["name"] for item in found["runs"]]
    assert np.shape(pairs[run, decoder]["linear"]) == (3, 4)
    assert "by_task" not in pairs[run, decoder]
    assert len(pairs[run, own]["by_task"]) == len(of_world.TYPES)
    absent = [probe for probe in found["probes"] if probe["model"] is None]
    assert {probe["task"] for probe in absent} == set(of_world.TYPES) - set(few)
    assert any(f"{own}: rows go through the adapter of their own task; those of" in note for note in found["notes"])


def test_runs_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    for name in ("ew/seed-0", "single_task/seed-0/topic"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    paths = [str(tmp_path / "runs" / name) for name in ("ew/seed-0", "single_task/seed-0/topic")]
    assert run_names([*paths, "owner/name"]) == ["ew/seed-0", "single_task/seed-0/topic", "owner/name"]
    assert run_names(paths[:1]) == ["seed-0"]
