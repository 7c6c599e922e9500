"""Tags of words, with unknown ones and rows longer than the model, train on two processes as on one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset

from tests import tiny
from tests.task_types.test_token_classification import LABELS, long_words
from tests.training.runs import results
from tests.training.two_processes import trained_by_one_and_by_two


def holed(rows: Dataset) -> Dataset:
    """Hide the tags of a third of the words."""
    random = np.random.default_rng(5)
    return rows.map(lambda row: {"label": [tag if random.random() > 0.3 else None for tag in row["label"]]})


def recipe(folder: Path) -> Path:
    holed(long_words(64, 1, 30, seed=0)).to_json(str(folder / "train.jsonl"))
    holed(long_words(41, 1, 60, seed=1)).to_json(str(folder / "validation.jsonl"))
    tiny.rows("mood", 40).to_json(str(folder / "mood.jsonl"))
    words = {
        "type": "token_classification",
        "text": "text",
        "label": "label",
        "labels": LABELS,
        "metrics": ["entity_f1", "accuracy", "ece"],
        "class_weights": "balanced",
    }
    files = {"path": "json", "data_files": {"train": "train.jsonl", "validation": "validation.jsonl"}}
    found: dict[str, Any] = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "dropout": 0.0,
            "max_length": 24,
        },
        "tasks": {
            "first": {**words, "dataset": files},
            "all": {**words, "dataset": files, "word_pieces": "all", "head": "vip"},
            "mood": {"type": "sequence_classification", "dataset": {"path": "json", "data_files": "mood.jsonl"}},
        },
        "balancing": {"weighting": "uw", "aggregator": "pcgrad"},
        "training": {
            "max_steps": 8,
            "optim": "sgd",
            "learning_rate": 0.1,
            "use_cpu": True,
            "report_to": "none",
            "temperature_scaling": True,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(found, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    runs = trained_by_one_and_by_two(recipe(tmp_path), tmp_path)
    for task in ("first", "all", "mood"):
        assert results(runs[1])["tasks"][task] == pytest.approx(results(runs[0])["tasks"][task], abs=1e-3)
