"""Runs of a recipe with questions: their threshold, baselines and resume, and two processes as one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.errors import RecipeError, RunError, UserError
from hf_mtl.training import evaluate_run
from tests import tiny
from tests.task_types.test_span_extraction import key_values
from tests.training.killing import train
from tests.training.runs import own_cache, results

pytestmark = pytest.mark.slow


def write(folder: Path, training: dict[str, Any] | None = None, **keys: Any) -> Path:
    """Questions beside classes, with UW and PCGrad, and without noise."""
    for split, count in (("train", 64), ("validation", 40), ("test", 30)):
        key_values(count, seed=count, unanswered=0.4).to_json(str(folder / f"{split}.jsonl"))
    tiny.rows("mood", 60).to_json(str(folder / "mood.jsonl"))
    files = {split: f"{split}.jsonl" for split in ("train", "validation", "test")}
    found: dict[str, Any] = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "dropout": 0.0,
            "max_length": 32,
        },
        "tasks": {
            "qa": {"type": "span_extraction", "dataset": {"path": "json", "data_files": files}, **keys},
            "mood": {
                "type": "sequence_classification",
                "label": "label",
                "labels": 2,
                "dataset": {"path": "json", "data_files": "mood.jsonl"},
                "test_fraction": 0.2,
            },
        },
        "balancing": {"weighting": "uw", "aggregator": "pcgrad"},
        "training": {
            "output_dir": str(folder / "run"),
            "max_steps": 8,
            "save_steps": 4,
            "optim": "sgd",
            "learning_rate": 0.05,
            "use_cpu": True,
            "report_to": "none",
            **(training or {}),
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(found, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("questions")
    with own_cache(folder):
        yield folder, run_recipe(write(folder, null_threshold="tuned"), test=True, baselines=True)


def test_the_threshold_is_tuned_for_the_model_and_for_each_baseline(world: tuple[Path, dict[str, Any]]) -> None:
    folder, found = world
    task: Any = MultiTaskModel.from_pretrained(folder / "run").tasks["qa"]
    assert isinstance(task.null_threshold, float)
    assert task.no_answer is True
    assert "qa: null_threshold is tuned on these rows, so that other rows will score less." in found["notes"]
    scores = {name: found["baselines"][name]["tasks"]["qa"] for name in ("majority", "tfidf")}
    assert scores["tfidf"]["squad_f1"] > scores["majority"]["squad_f1"]
    assert found["tasks"]["qa"].keys() - {"loss"} == scores["tfidf"].keys()
    at_nought = evaluate_run(folder / "run", ["tasks.qa.null_threshold=0"], baselines=True)["baselines"]
    for name in scores:
        assert at_nought[name]["tasks"]["qa"]["squad_f1"] <= scores[name]["squad_f1"]


def test_a_run_is_scored_again_with_its_threshold_or_another(world: tuple[Path, dict[str, Any]]) -> None:
    folder, found = world
    run = folder / "run"
    again = evaluate_run(run, split="test")["tasks"]["qa"]
    assert again == pytest.approx(found["test"]["tasks"]["qa"])
    never = evaluate_run(run, ["tasks.qa.null_threshold=1000"], split="test")["tasks"]["qa"]
    assert never["squad_f1_no_answer"] == 0
    always = evaluate_run(run, ["tasks.qa.null_threshold=-1000"], split="test")["tasks"]["qa"]
    assert (always["squad_f1_no_answer"], always["squad_f1_has_answer"]) == (1, 0)
    with pytest.raises(RunError, match=r"tasks\.qa\.no_answer"):
        evaluate_run(run, ["tasks.qa.no_answer=false", "tasks.qa.null_threshold=0"])


def test_a_resumed_run_needs_its_own_windows(world: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = world
    for key, value in (("doc_stride", 3), ("max_question_length", 5), ("null_threshold", 0.5)):
        with pytest.raises(RunError, match=rf"tasks\.qa\.{key}"):
            run_recipe(folder / "recipe.yaml", [f"tasks.qa.{key}={value}", "training.max_steps=12"], resume=True)


def test_windows_that_cannot_be_made_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with own_cache(tmp_path):
        path = write(tmp_path, doc_stride=30)
        with pytest.raises(UserError, match=r"tasks\.qa\.doc_stride: 30, and a window of 32 tokens has room for 15"):
            run_recipe(path)
        assert not (tmp_path / "run").exists()
        with pytest.raises(RecipeError, match=r"tasks\.qa\.no_answe"):
            load_recipe(path, ["tasks.qa.no_answe=true"])


@pytest.mark.timeout(600)
def test_two_processes_and_accumulation_end_where_one_process_does(tmp_path: Path) -> None:
    path, runs = write(tmp_path, null_threshold="tuned"), {}
    for processes, rows, accumulation in ((1, 16, 1), (2, 4, 2)):
        runs[processes] = tmp_path / f"run-{processes}"
        train(
            path,
            runs[processes],
            processes,
            f"training.per_device_train_batch_size={rows}",
            f"training.gradient_accumulation_steps={accumulation}",
        )
    one, two = (load_file(run / "model.safetensors") for run in runs.values())
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-4, atol=1e-5, msg=name)
    scores = [results(run)["tasks"]["qa"] for run in runs.values()]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
