"""Ordered classes, labels and targets that are partly unknown, and rows with weights, on two processes as on one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl import MultiTaskModel
from tests import tiny
from tests.task_types.test_multi_label_classification import NAMES, holed
from tests.task_types.test_ordinal_classification import NAMES as RANKS
from tests.task_types.test_ordinal_classification import sample_rows
from tests.task_types.test_regression import VARIANTS
from tests.training.runs import results
from tests.training.two_processes import trained_by_one_and_by_two


def recipe(folder: Path) -> Path:
    """Several types in one recipe, with UW and PCGrad, and without noise."""
    holed(64).to_json(str(folder / "labels.jsonl"))
    holed(40, share=0.2).to_json(str(folder / "others.jsonl"))
    sample_rows(70).to_json(str(folder / "ranks.jsonl"))
    VARIANTS["holed"].rows(60).to_json(str(folder / "values.jsonl"))
    labels = {"path": "json", "data_files": {"train": "labels.jsonl", "validation": "others.jsonl"}}
    found: dict[str, Any] = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "dropout": 0.0,
        },
        "tasks": {
            "labels": {
                "type": "multi_label_classification",
                "label": NAMES,
                "dataset": labels,
                "positive_weight": "balanced",
                "thresholds": "tuned",
            },
            "ranks": {
                "type": "ordinal_classification",
                "labels": RANKS,
                "dataset": {"path": "json", "data_files": "ranks.jsonl"},
            },
            "targets": {
                "type": "regression",
                "label": ["x", "y"],
                "dataset": {"path": "json", "data_files": "values.jsonl"},
                "weight": "w",
                "weighted_metrics": True,
            },
        },
        "balancing": {"weighting": "uw", "aggregator": "pcgrad"},
        "training": {"max_steps": 8, "optim": "sgd", "learning_rate": 0.1, "use_cpu": True, "report_to": "none"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(found, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    runs = trained_by_one_and_by_two(recipe(tmp_path), tmp_path)
    thresholds = [MultiTaskModel.from_pretrained(run).tasks["labels"].thresholds for run in runs]
    assert thresholds[0] != [0.5] * 3
    assert thresholds[1] == pytest.approx(thresholds[0], abs=1e-3)
    said = "labels: thresholds are tuned on these rows, so that other rows will score less."
    for run in runs:
        assert said in results(run)["notes"]
    for task in ("ranks", "targets"):
        assert results(runs[1])["tasks"][task] == pytest.approx(results(runs[0])["tasks"][task], rel=1e-3, abs=1e-3)
