"""The contract, second part: every head, task gradients, and whole runs with a task of any type."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.balancing import GradientOptions
from hf_mtl.data.collate import Arrangement, Collator
from hf_mtl.errors import ModelError
from hf_mtl.gradients import SharedGradients, Wanted, shared_parameters
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.heads import HEADS
from hf_mtl.processes import Processes
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.tasks import Task
from hf_mtl.training import evaluate_run, plan_recipe
from tests import tiny
from tests.gradients.batches import by_autograd, difference, run
from tests.task_types.conftest import TRAINED
from tests.task_types.sample import Sample

pytestmark = pytest.mark.usefixtures("outside")
PROBABILISTIC = {name for name in HEADS.names() if HEADS[name].stochastic}


def tasks_with(sample: Sample) -> dict[str, Task]:
    return {"t": sample.task, "mood": tiny.TASKS["mood"]}


def batch_of(sample: Sample, arrangement: Arrangement = "mixed") -> Any:
    data = {"t": sample.rows(9), "mood": tiny.rows("mood", 5)}
    splits = encode_splits(data, tasks_with(sample), tiny.tokenizer(), None, "train")
    collator, rows = Collator(splits, 0, 64, arrangement), (np.array([0] * 9 + [1] * 5), np.r_[np.arange(9), :5])
    sequences = len(collator.sequences(*rows)[0])
    return {**collator(*rows), "noise": {"rows": torch.arange(sequences), "step": 3}}


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
@pytest.mark.parametrize("head", HEADS.names())
def test_every_head_learns_it_and_predicts_it_or_says_why_not(sample: Sample, head: str) -> None:
    if reason := HEADS[head].unsuited(sample.task, BertConfig()):
        with pytest.raises(ModelError, match=re.escape(reason)):
            tiny.model(tasks=tasks_with(sample), head=head)
        return
    model = tiny.model(tasks=tasks_with(sample), head=head, dropout=0.1).train()
    batch = batch_of(sample)
    output = model(**batch)
    assert output.row_losses["t"].shape == (9,)
    assert ("t" in (output.row_penalties or {})) == (head in PROBABILISTIC)
    output.loss.backward()
    gradients = [p.grad for p in model.heads.of("t").parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
    found = model.eval()(**batch, uncertainty=True)
    shape = found.logits["t"].shape
    assert (shape[0], shape[-1]) == (9, sample.task.num_outputs)
    assert torch.equal(found.logits["t"], model(**batch).logits["t"])
    if head in PROBABILISTIC:
        assert found.variances["t"].shape == shape
        assert (found.variances["t"] > 0).sum() == (found.logits["t"] != sample.task.absent_output).sum()


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
@pytest.mark.parametrize("layout", ["segments", "split"])
@pytest.mark.parametrize("head", ["linear", "vip"])
def test_its_task_gradient_is_that_of_autograd(sample: Sample, head: str, layout: Any) -> None:
    if HEADS[head].unsuited(sample.task, BertConfig()):
        return  # which the test above has seen to be said
    model = tiny.model(tasks=tasks_with(sample), head=head).train()
    model.settle_layout("packed")
    cut = batch_of(sample, layout)
    options = GradientOptions(layout=layout)
    gradients = SharedGradients(model, 2, options, batch_of(sample, "segments"), Processes(), Wanted())
    held = run(gradients, model, [cut])
    expected = by_autograd(model, cut, layout)
    parameters = shared_parameters(model)
    rows: list[dict[nn.Parameter, Tensor]] = []
    for weights in torch.eye(2):
        found = dict(held.combine(weights))
        rows.append({parameter: found.get(parameter, torch.zeros_like(parameter)) for parameter in parameters})
    assert difference(rows, expected) < 2e-6
    assert any(row.any() for row in expected[0].values())


def recipe_of(sample: Sample, folder: Path) -> Path:
    """Write a recipe with a task of the type and one of targets, and their rows."""
    for split, count in (("train", 48), ("validation", 24), ("test", 24)):
        sample.rows(count).to_json(str(folder / f"{split}.jsonl"))
    tiny.rows("score", 30).to_json(str(folder / "score.jsonl"))
    files = {split: f"{split}.jsonl" for split in ("train", "validation", "test")}
    written = {key: value for key, value in sample.task.for_config().items() if key in sample.task.model_fields_set}
    backbone = {key: value for key, value in tiny.BERT.items() if key != "vocab_size"}
    recipe = {
        "model": {"backbone": backbone, "tokenizer": {"train": "wordpiece", "vocab_size": 120}, "max_length": 32},
        "tasks": {
            "t": {**written, "type": sample.task.type, "dataset": {"path": "json", "data_files": files}},
            "score": {
                "type": "regression",
                "label": "x",
                "dataset": {"path": "json", "data_files": {"train": "score.jsonl"}},
            },
        },
        "training": {
            "output_dir": str(folder / "run"),
            "max_steps": 4,
            "save_steps": 2,
            "lr_scheduler_type": "constant",
            "per_device_train_batch_size": 8,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.mark.slow
def test_a_recipe_is_planned_trained_resumed_and_scored_again(sample: Sample, tmp_path: Path) -> None:
    path = recipe_of(sample, tmp_path)
    recipe = load_recipe(path)
    summary, _ = plan_recipe(recipe)
    [census] = [item for item in summary.data if item.name == "t"]
    assert census.splits["train"].rows == 48
    assert list(census.classes) == (sample.task.label_names or [])
    assert all(name in plan_table(summary) for name in census.classes)
    results = run_recipe(recipe, test=True, baselines=True)
    folder = tmp_path / "run"
    assert json.loads((folder / "results.json").read_text()) == results
    assert (
        results["test"]["baselines"]["tfidf"]["tasks"]["t"].keys()
        == results["baselines"]["majority"]["tasks"]["t"].keys()
    )
    assert results["tasks"]["t"].keys() - {"loss"} == results["baselines"]["tfidf"]["tasks"]["t"].keys()
    again = evaluate_run(folder, split="test")
    assert again["tasks"]["t"] == pytest.approx(results["test"]["tasks"]["t"])
    loaded = MultiTaskModel.from_pretrained(folder)
    # Where the backbone's own head cannot serve a type, the model says which one does.
    assert loaded.tasks["t"].model_copy(update={"head": None}) == sample.task
    # From its checkpoint of step 2 a run ends in the same bits.
    other = tmp_path / "other"
    run_recipe(path, [f"training.output_dir={other}", "training.max_steps=2"])
    (other / "results.json").unlink()
    run_recipe(path, [f"training.output_dir={other}"], resume=True)
    mine, theirs = (load_file(place / "model.safetensors") for place in (folder, other))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
