"""Every arm of a study is trained and scored on the same rows, whichever tasks its runs are of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from hf_mtl.experiments.compare.costs import Costs
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.recipe.load import recipe_of
from hf_mtl.training.run.prepare import load_data
from tests import tiny
from tests.experiments.compare.world import write_study
from tests.training import runs

ARMS = {"single_task": "single_task", "all": {}, "groups": {"groups": [["topic", "other"], ["again"]]}}
TASK: dict[str, Any] = {"type": "sequence_classification", "test_fraction": 0.2}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path) -> Iterator[None]:
    with runs.own_cache(tmp_path):
        yield


def write(folder: Path, task: dict[str, Any], data: dict[str, Any], **study: Any) -> Path:
    """Three tasks: two read the same texts, with labels of their own; a third trains on some of them, and tests."""
    path = write_study(folder, arms=ARMS, **study)
    base = yaml.safe_load((folder / "recipe.yaml").read_text())
    topic, rest = tiny.rows("topic", 90, 0), tiny.rows("topic", 60, 1)
    rare = ["no" if number % 7 else "yes" for number in range(90)]
    topic.add_column("again", rare).to_json(folder / "both.jsonl")
    train = {column: [*rest[column], *topic[column][:30]] for column in ("text", "label")}
    Dataset.from_dict(train).to_json(folder / "train.jsonl")
    topic.select(range(20, 40)).to_json(folder / "test.jsonl")
    both = {"path": "json", "data_files": {"train": f"{folder}/both.jsonl"}}
    other = {"path": "json", "data_files": {split: f"{folder}/{split}.jsonl" for split in ("train", "test")}}
    base["tasks"] = {
        "topic": {**TASK, **task, "dataset": both},
        "again": {**TASK, **task, "dataset": both, "label": "again"},
        "other": {**TASK, **task, "dataset": other},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**base, "data": data}, sort_keys=False))
    return path


def rows_of(path: Path) -> dict[str, dict[Any, Any]]:
    """The texts of each split of each task, by arm and by seed and fold."""
    study = load_study(path)
    costs = Costs(study)
    found: dict[str, dict[Any, Any]] = {}
    for trial in trials_of(study):
        recipe = recipe_of(costs.node(trial, costs.allowance(trial)))
        unit = found.setdefault(trial.arm.name, {}).setdefault((trial.seed, trial.fold), {})
        for name, item in load_data(recipe, trial.seed).items():
            assert name not in unit
            unit[name] = {split: list(rows["text"]) for split, rows in item.splits.items()}
    return found


STRATIFIED = {"stratify": True, "max_rows": 40}
RATIO = {"imbalance": {"ratio": {"topic": 3, "again": 1, "other": 2}}}
DROP = {"contamination": "drop"}


@pytest.mark.parametrize(
    ("task", "data", "study"),
    [
        pytest.param(STRATIFIED, {}, {}, id="stratified"),
        pytest.param({}, RATIO, {"seeds": 2}, id="ratio"),
        pytest.param({}, DROP, {}, id="dropped"),
        pytest.param(STRATIFIED, {}, {"folds": 2}, id="folds"),
        pytest.param(STRATIFIED, {**DROP, **RATIO}, {"seeds": 2}, id="all"),
    ],
)
def test_a_task_has_the_rows_alone_and_in_a_group_that_it_has_beside_all(
    tmp_path: Path, task: dict[str, Any], data: dict[str, Any], study: dict[str, Any]
) -> None:
    found = rows_of(write(tmp_path, task, data, **study))
    assert found["single_task"] == found["groups"] == found["all"]
    for unit in found["all"].values():
        assert set(unit) == {"topic", "again", "other"}
        assert all(rows for splits in unit.values() for rows in splits.values())
