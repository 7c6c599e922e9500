import json
import math
import shutil
from pathlib import Path

import pytest

from hf_mtl.balancing.section import parse
from hf_mtl.experiments.compare.budget import Allowance
from hf_mtl.experiments.compare.records import Log, baselines_of, record_of
from tests import tiny
from tests.experiments.compare.conftest import Done

TASKS = {name: tiny.TASKS[name] for name in ("topic", "mood")}
KEYS = {
    *("kind", "arm", "seed", "task", "fold", "identity", "validation", "test", "scores", "lower_is_better", "steps"),
    *("step", "ended_by", "flops", "backward_passes", "seconds", "wall", "rows", "passes", "curve", "train_losses"),
    *("weights", "cosine_samples", "cosines", "conflict_rate", "contamination", "baselines", "notes", "budget"),
    "test_rows",
    "test_notes",
    "aggregator",
}


def trained(step: int, flops: float, **more: float) -> dict[str, float]:
    return {
        "step": step,
        "loss": 1.0,
        "flops": flops,
        "backward_passes": step,
        "optimizer_runtime": flops / 2,
        **more,
    }


def test_what_was_spent_lies_between_two_records() -> None:
    log = Log([trained(10, 100.0), trained(20, 300.0)], TASKS)
    assert [log.at(step, "flops") for step in (0, 5, 10, 15, 20, 25)] == [0, 50, 100, 200, 300, 375]
    assert log.spent(25) == {"flops": 375, "backward_passes": 25, "seconds": 187.5}
    end = {"step": 25, "train_runtime": 9.0, "total_flos": 350.0, "optimizer_runtime": 170.0, "backward_passes": 50}
    assert Log([end], TASKS).spent(25) == {"flops": 350, "backward_passes": 50, "seconds": 170}
    del end["backward_passes"]
    assert Log([trained(20, 300.0), end], TASKS).spent(25) == {"flops": 350, "backward_passes": 25, "seconds": 170}


def test_the_curve_has_the_evaluations_while_training_alone() -> None:
    found = {"eval_topic_f1_macro": 0.5, "eval_topic_loss": 1.5, "eval_mood_f1_macro": None, "eval_mood_loss": 0.5}
    evaluated = {"step": 10, "eval_average": None, **found}
    end = {"step": 20, "train_runtime": 9.0}
    log = Log([trained(10, 100.0), evaluated, trained(20, 200.0), end, {**evaluated, "step": 20}], TASKS)
    (point,) = log.curve()
    assert {key: point[key] for key in ("step", "flops", "seconds", "losses")} == {
        "step": 10,
        "flops": 100,
        "seconds": 50,
        "losses": {"topic": 1.5, "mood": 0.5},
    }
    assert point["scores"]["topic"] == 0.5
    assert math.isnan(point["scores"]["mood"])


def test_means_are_those_of_the_records_that_have_a_value() -> None:
    pair = "gradient_cosine/topic/mood"
    said = {pair: 0.5, "loss/topic": 3.0, "loss/topic/kl": 9.0, "weight/topic": 0.4}
    log = Log([trained(1, 1.0, **said), trained(2, 2.0, **{"weight/topic": 0.2})], TASKS)
    assert log.cosines() == {"topic/mood": 0.5}
    assert log.cosine_samples() == 1
    assert log.weights() == {"topic": pytest.approx(0.3)}
    assert log.losses() == {"topic": 3.0}
    assert log.mean("conflict_rate") is None
    assert Log([trained(1, 1.0)], TASKS).cosines() is None


def test_scores_of_a_baseline_on_fewer_rows_are_in_no_record() -> None:
    llm = {"tasks": {"topic": {"f1_macro": 0.9}, "mood": {"f1_macro": 0.8}}, "sampled": ["topic"]}
    results = {"test": {"baselines": {"majority": {"tasks": {"topic": {"f1_macro": 0.1}}}, "llm": llm}}}
    assert baselines_of(results, TASKS) == {
        "majority": {"test": {"topic": 0.1}},
        "llm": {"test": {"mood": 0.8}, "fewer_rows": ["topic"]},
    }
    assert baselines_of({"test": {}}, TASKS) is None


def test_a_record_names_the_aggregator(done: Done) -> None:
    [trial] = [trial for trial in done.trials if trial.arm.name == "uw"]
    recipe = trial.part.recipe
    spec = parse({"aggregator": {"name": "pcgrad"}}, [])
    folder = done.study.folder / trial.place
    record = record_of(folder, recipe.model_copy(update={"balancing": spec}), Allowance("steps", 6, 6, 6, 1.0))
    assert record["aggregator"] == "pcgrad"


def test_a_record_tells_notes_of_test_rows_from_those_of_validation_rows(done: Done, tmp_path: Path) -> None:
    [trial] = [trial for trial in done.trials if trial.arm.name == "uw"]
    folder = shutil.copytree(done.study.folder / trial.place, tmp_path / "run")
    results = json.loads((folder / "results.json").read_text())
    of_validation, of_test = ("mood: all 40 rows are predicted 'sad'.", "topic: all 40 rows are predicted 'a'.")
    results["notes"], results["test"]["notes"] = [of_validation], [of_test]
    (folder / "results.json").write_text(json.dumps(results))
    record = record_of(folder, trial.part.recipe, Allowance("steps", 6, 6, 6, 1.0))
    assert record["test_notes"] == [of_test]
    assert record["notes"][:2] == [of_validation, of_test]


def test_a_record_has_what_the_runs_folder_tells(done: Done) -> None:
    records = {record["arm"]: record for record in done.ledger.results.all() if record["kind"] == "run"}
    joint, single = records["uw"], records["single_task"]
    assert set(joint) == set(single) == KEYS
    assert joint["steps"] == joint["backward_passes"] == joint["budget"]["steps"] == 6
    assert joint["step"] in (3, 6)
    assert [point["step"] for point in joint["curve"]] == [3, 6]
    assert set(joint["scores"]["test"]) == set(joint["scores"]["validation"]) == {"topic", "mood"}
    assert joint["lower_is_better"] == {"topic": {"f1_macro": False}, "mood": {"f1_macro": False}}
    assert joint["scores"]["test"]["mood"] == joint["test"]["mood"]["f1_macro"]
    assert set(joint["rows"]["mood"]) == {"train", "validation", "test"}
    assert joint["passes"]["topic"] == pytest.approx(
        joint["steps"] * 8 / sum(rows["train"] for rows in joint["rows"].values()), rel=1
    )
    assert 0 < joint["curve"][0]["seconds"] < joint["seconds"] < joint["wall"]
    assert joint["aggregator"] is None
    assert joint["baselines"] is None
    assert set(single["baselines"]) == {"majority", "tfidf"}
    assert any("Without what is of other tasks: balancing: weighting." in note for note in single["notes"])
