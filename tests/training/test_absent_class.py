"""Training with classes that the training rows lack: one that only validation has, and one that no split has."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import ClassLabel, Dataset, DatasetDict

from hf_mtl import SequenceClassification
from hf_mtl.data import load
from hf_mtl.modeling.heads.registry import available_heads
from hf_mtl.training import evaluate_run
from tests import tiny
from tests.training import killing, runs
from tests.training.trainers import make

LABELS = ["a", "b", "never", "late"]
SPLITS = {"train": (40, [0, 1]), "validation": (24, [0, 1, 3]), "test": (20, [0, 1, 3])}
METRICS = [
    "f1_macro",
    "recall_macro",
    "accuracy",
    "matthews",
    "auroc_macro",
    "ece",
    {"name": "f1", "labels": ["late"]},
]
SAID = "train has no row of class 'never', 'late', which cannot be learned."


def rows(split: str) -> Dataset:
    size, classes = SPLITS[split]
    ids = np.random.default_rng(0).choice(classes, size)
    features = {"text": tiny.rows("topic", size, seed=len(split))["text"][:], "label": ids.tolist()}
    return Dataset.from_dict(features).cast_column("label", ClassLabel(names=LABELS))


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    with runs.own_cache(tmp_path):
        path = runs.write_recipe(tmp_path, max_steps=2, save_strategy="no", temperature_scaling=True, eval_steps=2)
        DatasetDict({split: rows(split) for split in SPLITS}).save_to_disk(str(tmp_path / "hole"))
        content = yaml.safe_load(path.read_text())
        task = {"type": "sequence_classification", "dataset": {"path": "./hole"}, "metrics": METRICS}
        content["tasks"] = {"hole": {**task, "class_weights": "balanced"}, "mood": content["tasks"]["mood"]}
        path.write_text(yaml.safe_dump(content))
        yield path


def scores(results: dict[str, Any]) -> list[float]:
    """Every number of the results, the baselines' too."""
    found = [value for task in results["tasks"].values() for value in task.values()]
    return found + [value for other in results.get("baselines", {}).values() for value in scores(other)]


def test_every_head_and_loss_is_defined(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load.logger.warning_once.cache_clear()
    heads = [head for head in available_heads() if head != "stl_cnn"]  # which trains with no other
    tasks = {
        head: SequenceClassification(
            labels=LABELS,
            head=head,
            loss=("focal", "cross_entropy")[place % 2],
            class_weights=("balanced", [1.0, 2.0, 3.0, 4.0])[place // 2 % 2],
            label_smoothing=0.1 * (place % 3),
        )
        for place, head in enumerate(heads)
    }
    trainer = make(
        tmp_path,
        model=tiny.model(tasks=tasks),
        train=dict.fromkeys(tasks, rows("train")),
        evaluation=dict.fromkeys(tasks, rows("validation")),
        max_steps=1,
        per_device_train_batch_size=4 * len(tasks),
    )
    trainer.train()
    found = trainer.evaluate()
    assert len(found) > 2 * len(tasks)
    assert all(math.isfinite(value) for value in found.values())
    assert [caplog.text.count(f"{head}: {SAID}") for head in heads] == [1] * len(heads)
    weights = trainer.model.heads.of(heads[0]).statistics.loss_weights
    assert weights[2:].tolist() == [1.0, 1.0]


def test_a_recipe_trains_scores_and_is_scored_again(
    recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load.logger.warning_once.cache_clear()
    results = runs.train(recipe, tmp_path / "run", test=True, baselines=True)
    assert len(scores(results)) == 3 * 7 + 3 * 1 + 2  # the model's losses too
    assert np.isfinite(scores(results) + scores(results["test"])).all()
    assert caplog.text.count(SAID) == 1
    for note in (
        "hole: validation has 8 rows of class 'late'; its scores count them.",
        "hole: no split has a row of class 'never'; labels may leave it out.",
    ):
        assert caplog.text.count(note) == 1
    again = evaluate_run(tmp_path / "run", split="test")
    assert again["tasks"]["hole"] == pytest.approx(results["test"]["tasks"]["hole"])


@pytest.mark.slow
def test_two_processes_train_and_score_as_one(recipe: Path, tmp_path: Path) -> None:
    # The rows of a step draw their dropout in the order in which they are dealt.
    still = ["model.dropout=0.0", "model.backbone.hidden_dropout_prob=0.0", "training.temperature_scaling=false"]
    for processes in (1, 2):
        sizes = f"training.per_device_train_batch_size={8 // processes}"
        killing.train(recipe, tmp_path / f"run{processes}", processes, sizes, *still, "--baselines")
    one, two = (json.loads((tmp_path / f"run{count}" / "results.json").read_text()) for count in (1, 2))
    assert scores(two) == pytest.approx(scores(one), abs=1e-4)
    assert (tmp_path / "stderr.txt").read_text().count(SAID) == 2, "once a run"
