"""Rows with several choices train on two processes, and in any layout, as on one."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hf_mtl import MultiTaskModel
from tests import tiny
from tests.modeling.families import FAMILIES
from tests.task_types.test_multiple_choice import TASK, batch_of, matching, sample_rows
from tests.training.runs import results
from tests.training.two_processes import trained_by_one_and_by_two


def recipe(folder: Path) -> Path:
    """Choices beside targets, with UW and PCGrad, and without noise."""
    sample_rows(70).to_json(str(folder / "choices.jsonl"))
    tiny.rows("score", 40).to_json(str(folder / "score.jsonl"))
    found: dict[str, Any] = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "dropout": 0.0,
        },
        "tasks": {
            "choices": {"type": "multiple_choice", "dataset": {"path": "json", "data_files": "choices.jsonl"}},
            "score": {"type": "regression", "label": "x", "dataset": {"path": "json", "data_files": "score.jsonl"}},
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
    scores = [results(run)["tasks"]["choices"] for run in runs]
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


@pytest.mark.parametrize("family", ["bert", "deberta-v3", "modernbert-mean"])
def test_logits_are_the_same_in_any_layout(family: str) -> None:
    torch.manual_seed(0)
    model = MultiTaskModel.from_backbone(FAMILIES[family], tasks={"t": TASK}).eval()
    batch = batch_of(matching(8, seed=4))
    batch["packed"]["input_ids"] %= 60
    found = {}
    for layout in ("auto", "groups", "padded"):
        model.settle_layout(layout)
        found[layout] = model(**batch).logits["t"]
    torch.testing.assert_close(found["groups"], found["auto"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["padded"], found["auto"], rtol=1e-4, atol=1e-5)
