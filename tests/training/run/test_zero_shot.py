"""The zero-shot baseline: a tiny random language model scores at chance, on the rows of the model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset

from hf_mtl import load_recipe, run_recipe
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import ModelError
from hf_mtl.training import evaluate_run
from hf_mtl.training.run.baselines import add_baselines
from hf_mtl.training.run.prepare import Prepared, load_data, make_arguments
from hf_mtl.training.run.zero_shot import zero_shot_results
from tests import tiny
from tests.inference.causal import write_causal

CLASSES = ["w50", "w51", "w52"]


def rows_of(kind: str, count: int, seed: int) -> Dataset:
    """Rows whose labels have nothing to do with their texts."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(tiny.WORDS, size=5)) for _ in range(count)]
    if kind == "multiple_choice":
        choices = [random.choice(tiny.WORDS, size=4, replace=False).tolist() for _ in range(count)]
        return Dataset.from_dict({"text": texts, "choices": choices, "label": random.integers(0, 4, size=count)})
    if kind == "regression":
        return Dataset.from_dict({"text": texts, "label": random.normal(size=count)})
    return Dataset.from_dict(
        {"text": texts, "label": [CLASSES[place] for place in random.integers(0, 3, size=count)]}
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero-shot")
    write_causal(folder / "causal")
    tasks: dict[str, Any] = {}
    for kind in ("sequence_classification", "ordinal_classification", "multiple_choice", "regression"):
        files = {split: f"{kind}.{split}.jsonl" for split in ("train", "validation")}
        rows_of(kind, 24, 0).to_json(str(folder / files["train"]))
        rows_of(kind, 300, 1).to_json(str(folder / files["validation"]))
        tasks[kind] = {"type": kind, "metrics": ["accuracy"], "dataset": {"path": "json", "data_files": files}}
    tasks["regression"]["metrics"] = ["pearson"]
    for kind in ("sequence_classification", "ordinal_classification"):
        tasks[kind]["labels"] = CLASSES
    written = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
        },
        "tasks": tasks,
        "data": {"contamination": "off"},
        "baselines": {"llm": {"model": "causal", "template": "{text}"}},
        "training": {"output_dir": str(folder / "run"), "max_steps": 1, "use_cpu": True, "report_to": "none"},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


def asked(recipe: Path, *overrides: str) -> tuple[dict[str, Any], Prepared]:
    """What the language model scores on the validation rows."""
    read = load_recipe(recipe, overrides)
    prepared = Prepared(read, make_arguments(read), load_data(read, 0), None)
    return zero_shot_results(prepared, prepared.split("validation")), prepared


def test_a_random_model_scores_at_chance(recipe: Path) -> None:
    found, _ = asked(recipe)
    scores = found["llm"]["tasks"]
    assert list(scores) == ["sequence_classification", "ordinal_classification", "multiple_choice"]
    for name, chance in zip(scores, (1 / 3, 1 / 3, 1 / 4), strict=True):
        spread = (chance * (1 - chance) / 300) ** 0.5
        assert abs(scores[name]["accuracy"] - chance) < 3 * spread, name
    assert "average" not in found["llm"]  # of other tasks than the model's
    assert "regression: a regression has no labels to choose from in words." in found["llm"]["notes"]


def test_fewer_rows_are_drawn_and_said(recipe: Path) -> None:
    found, _ = asked(recipe, "baselines.llm.max_rows=40", "tasks.regression=null")
    assert "multiple_choice: 40 of 300 rows were asked of." in found["llm"]["notes"]
    assert "multiple_choice" in found["llm"]["sampled"]
    assert found["llm"]["average"] == pytest.approx(
        np.mean([scores["accuracy"] for scores in found["llm"]["tasks"].values()])
    )
    again, _ = asked(recipe, "baselines.llm.max_rows=40", "tasks.regression=null")
    assert again == found


def test_nothing_is_asked_of_a_recipe_that_names_none(recipe: Path) -> None:
    assert asked(recipe, "baselines=null")[0] == {}


def test_a_run_and_its_evaluation_have_it_beside_the_simple_ones(recipe: Path) -> None:
    results = run_recipe(recipe, baselines=True)
    assert list(results["baselines"]) == ["majority", "tfidf", "llm"]
    assert json.loads((recipe.parent / "run/results.json").read_text())["baselines"] == results["baselines"]
    again = evaluate_run(recipe.parent / "run", baselines=True)
    assert again["baselines"]["llm"] == results["baselines"]["llm"]
    fewer = evaluate_run(recipe.parent / "run", ["baselines.llm.max_rows=30"], baselines=True)
    assert any("30 of 300 rows" in note for note in fewer["baselines"]["llm"]["notes"])
    assert "baselines" not in evaluate_run(recipe.parent / "run")


def without_training_rows(found: LoadedTask) -> LoadedTask:
    return replace(found, splits={split: rows for split, rows in found.splits.items() if split != "train"})


def test_a_task_without_training_rows_is_compared_with_the_language_model_alone(recipe: Path) -> None:
    _, prepared = asked(recipe)
    prepared = replace(prepared, data={name: without_training_rows(found) for name, found in prepared.data.items()})
    rows = {"multiple_choice": prepared.split("validation")["multiple_choice"]}
    results: dict[str, Any] = {"tasks": {"multiple_choice": {"accuracy": 0.0}}, "notes": []}
    add_baselines(results, prepared, rows)
    assert list(results["baselines"]) == ["llm"]
    none, below = results["notes"]
    assert none == "multiple_choice: no training rows, so neither majority nor TF-IDF."
    assert below.startswith("multiple_choice: accuracy 0.0000 is below the ")
    assert below.endswith(" of the language model, which has not been trained on it.")


def test_a_model_that_is_none_is_refused_before_training(recipe: Path) -> None:
    with pytest.raises(ModelError, match="command line: baselines.llm.model: cannot load"):
        run_recipe(recipe, ["training.output_dir=runs/none", "baselines.llm.model=./recipe.yaml"], baselines=True)
