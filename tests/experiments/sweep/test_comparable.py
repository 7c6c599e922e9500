"""Keys whose values would have trials scored by something else are refused; others are searched."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.sweep.comparable import scored_by
from hf_mtl.experiments.sweep.file import read_sweep
from hf_mtl.task_types.multi_label_classification import MultiLabelClassification
from hf_mtl.tasks.registry import task_types
from tests.experiments.sweep import worlds

ROWS = {"path": "json", "data_files": {"train": "topic.train.jsonl"}}
CARVED = {"tasks.topic.dataset.splits": {"validation": None}}
OTHER_ROWS = {"tasks.topic.dataset.data_files.train": {"choices": ["topic.train.jsonl", "mood.train.jsonl"]}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparable")


def said_of(folder: Path, search: dict[str, Any], **keys: Any) -> list[str]:
    """Return what is wrong with a sweep, nothing of one that can be run, without its folder."""
    path = worlds.write(folder, search=search, **keys)
    try:
        read_sweep(path)
    except RecipeError as error:
        return [str(item).replace(f"{path.parent}/", "") for item in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("tasks.topic.metrics", [["accuracy"], ["f1_macro"]]),
        ("tasks.topic.metrics.0.name", ["accuracy", "f1_macro"]),
        ("tasks.topic.dataset", [ROWS, {**ROWS, "revision": "other"}]),
        ("tasks.topic.dataset.filter", [None, {"column": "text", "not_blank": True}]),
        ("tasks.topic.text", ["text", ["text", "title"]]),
        ("tasks.topic.label", ["label", "other"]),
        ("tasks.topic.labels", [3, 4]),
        ("tasks.topic.soft_labels", [True, False]),
        ("tasks.topic.stratify", [True, False]),
        ("tasks.topic.validation_fraction", [0.1, 0.2]),
        ("tasks.topic.test_fraction", [0.1, 0.2]),
        ("data.contamination", ["warn", "drop"]),
        ("data.fold", [None, {"of": 3}]),
        ("data.carving_seed", [1, 2]),
        ("tasks.topic.dataset.data_files.train", ["topic.train.jsonl", "mood.train.jsonl"]),
    ],
)
def test_what_scores_are_of_is_not_searched(folder: Path, key: str, values: list[Any]) -> None:
    (found,) = said_of(folder, {key: {"choices": values}}, set=CARVED)
    assert found.startswith(f"sweep.yaml:5: search.{key}: cannot be searched: validation scores of its values could ")
    assert found.endswith("Leave it out, or write an arm for each value: the trials of one arm are compared with "
                          "each other alone.")  # fmt: skip


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("tasks.topic.max_rows", [10, 20]),
        ("tasks.topic.train_fraction", [0.5, 1.0]),
        ("tasks.topic.class_weights", ["balanced", None]),
        ("tasks.topic.label_smoothing", [0.0, 0.1]),
        ("tasks.topic.loss", ["cross_entropy", "focal"]),
        ("tasks.topic.head", ["linear", {"type": "mlp"}]),
        ("tasks.topic.max_length", [8, 16]),
        ("tasks.topic", [{"max_rows": 10}, {"head": "mlp"}]),
        ("data.imbalance", [None, {"ratio": {"topic": 2, "mood": 1, "score": 1}}]),
        ("model", [{"dropout": 0.1}, {"dropout": 0.2}]),
        ("model.max_length", [8, 16]),
        ("schedules", [[], [{"type": "mt2st_switch", "main": "topic", "at": 0.5}]]),
        ("training.max_steps", [1, 2]),
    ],
)
def test_what_is_trained_on_and_how_is_searched_and_its_default_is_plain(
    folder: Path, key: str, values: list[Any]
) -> None:
    assert said_of(folder, {key: {"choices": values}}) == []
    (arm,) = worlds.read(folder, search={key: {"choices": values}}).arms
    assert all(isinstance(value, str) for value in arm.default().values())


def test_a_section_is_refused_for_what_it_changes(folder: Path) -> None:
    (found,) = said_of(folder, {"tasks.topic": {"choices": [{"max_rows": 9}, {"metrics": ["accuracy"]}]}})
    assert ", as tasks.topic.metrics would differ. Leave it out" in found


def test_a_seed_is_searched_where_rows_are_carved_by_another(folder: Path) -> None:
    search = {"training.seed": {"low": 1, "high": 9}}
    (found,) = said_of(folder, search, set=CARVED)
    assert found.endswith(". Set data.carving_seed, so that all trials are scored by the same rows.")
    assert said_of(folder, search, set={**CARVED, "data.carving_seed": 0}) == []
    assert said_of(folder, search, set={**CARVED, "training.data_seed": 0}) == []
    assert said_of(folder, search) == []  # no row is carved
    assert said_of(folder, search, set={"tasks.topic.test_fraction": 0.1})
    assert said_of(folder, search, set={"data.fold": {"of": 3}})


def test_rows_of_train_are_searched_where_none_of_them_is_scored(folder: Path) -> None:
    assert said_of(folder, OTHER_ROWS) == []
    for scored in ({"tasks.topic.test_fraction": 0.1}, {"data.fold": {"of": 3}}):
        (found,) = said_of(folder, OTHER_ROWS, set=scored)
        assert ", as tasks.topic.dataset would differ" in found
    other = {"tasks.topic.dataset.data_files.validation": {"choices": ["topic.validation.jsonl", "x.jsonl"]}}
    assert "as tasks.topic.dataset would differ" in said_of(folder, other)[0]


def test_labels_that_are_found_in_rows_of_train_too_are_to_be_written_for_that(folder: Path) -> None:
    (found,) = said_of(folder, OTHER_ROWS, set={"tasks.topic.labels": None})
    assert found.endswith("Write tasks.topic.labels, which would be looked for in the rows of train too.")


def test_a_loss_is_the_score_of_trials_that_have_the_same_one(folder: Path) -> None:
    search = {"tasks.topic.label_smoothing": {"low": 0.0, "high": 0.2}}
    (found,) = said_of(folder, search, metric="topic_loss")
    assert "search.tasks.topic.label_smoothing: cannot be searched" in found
    assert said_of(folder, search, metric="mood_loss") == []


def test_weights_of_scored_rows_and_what_is_tuned_on_them_count(folder: Path) -> None:
    recipe = worlds.read(folder).arms[0].recipe
    task = recipe.tasks["topic"].model_copy(update={"weight": "w", "weighted_metrics": True})
    weighted = recipe.model_copy(update={"tasks": {**recipe.tasks, "topic": task}})
    assert scored_by(weighted, "average")["tasks.topic.weight"] == "w"
    assert "tasks.topic.weight" not in scored_by(recipe, "average")
    asks = MultiLabelClassification(labels=["a", "b"], thresholds="tuned")
    tuned = recipe.model_copy(update={"tasks": {**recipe.tasks, "topic": asks}})
    assert scored_by(tuned, "average")["tasks.topic.thresholds"] == "tuned"


def test_every_type_has_the_keys_that_it_names() -> None:
    for kind in task_types().values():
        assert set(kind.truth_keys) <= set(kind.model_fields)
