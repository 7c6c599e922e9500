"""Adapters under a task of any type: those of the task alone reach its rows, whatever a row is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.data.collate import Arrangement, Collator
from hf_mtl.inference.encode import encode_splits
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.training import evaluate_run, plan_recipe
from tests import tiny
from tests.modeling.test_private_adapters import alone
from tests.task_types.conftest import SAMPLES
from tests.task_types.sample import Sample
from tests.task_types.test_common_runs import recipe_of

pytestmark = pytest.mark.usefixtures("outside")
BOTH = {"shared": {"type": "lora", "r": 2}, "per_task": {"type": "lora", "r": 3}}


def batch_of(sample: Sample, arrangement: Arrangement) -> Any:
    tasks = {"t": sample.task, "mood": tiny.TASKS["mood"]}
    data = {"t": sample.rows(9), "mood": tiny.rows("mood", 5)}
    splits = encode_splits(data, tasks, tiny.tokenizer(), None, "train")
    return Collator(splits, 0, 64, arrangement)(np.array([0] * 9 + [1] * 5), np.r_[np.arange(9), :5])


@pytest.mark.parametrize("packs", [pytest.param(False, marks=pytest.mark.slow), True])
def test_its_rows_go_through_its_adapters_alone(sample: Sample, packs: bool, tmp_path: Path) -> None:
    tasks = {"t": sample.task, "mood": tiny.TASKS["mood"]}
    model = tiny.model(tasks=tasks, peft=BOTH, head="linear").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not name.startswith("heads."):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    for one in (model, loaded):
        one.settle_layout("packed" if packs else "groups")
    plain = {name: alone(model, name) for name in tasks}
    for arrangement in ("segments", "mixed", "split"):
        batch = batch_of(sample, arrangement)
        with torch.no_grad():
            found, again = model(**batch), loaded(**batch)
            for name in tasks:
                wanted = plain[name](**batch)
                torch.testing.assert_close(found.logits[name], wanted.logits[name], rtol=1e-3, atol=1e-4)
                torch.testing.assert_close(found.row_losses[name], wanted.row_losses[name], rtol=1e-3, atol=1e-4)
                assert torch.equal(again.logits[name], found.logits[name])
        assert not torch.allclose(found.row_losses["t"], plain["mood"](**batch).row_losses["t"], rtol=1e-3)


def decoder(family: str) -> dict[str, Any]:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    more = {"max_position_embeddings": 64, "num_key_value_heads": 1, "head_dim": 8, "initializer_range": 0.2}
    return {"model_type": family, **sizes, **more}


def trained_and_scored(sample: Sample, folder: Path, *changes: str) -> None:
    """Plan a recipe, train it, score its model again, and end in the same bits from the checkpoint of step 2."""
    path = recipe_of(sample, folder)
    recipe = load_recipe(path, changes)
    summary, _ = plan_recipe(recipe)
    own = "per_task" in str(recipe.model.peft)
    shown = " ".join(plan_table(summary).split())
    assert ("each text once for each of its tasks" in shown) == own
    assert summary.trainable_parameters != summary.total_parameters
    results = run_recipe(recipe, test=True)
    again = evaluate_run(folder / "run", split="test")
    assert again["tasks"]["t"] == pytest.approx(results["test"]["tasks"]["t"])
    other = folder / "other"
    run_recipe(path, [*changes, f"training.output_dir={other}", "training.max_steps=2"])
    (other / "results.json").unlink()
    run_recipe(path, [*changes, f"training.output_dir={other}"], resume=True)
    mine, theirs = (load_file(place / "model.safetensors") for place in (folder / "run", other))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


BOTH_WRITTEN = "model.peft={shared: {type: lora, use_dora: true}, per_task: {type: lora, r: 4}}"


@pytest.mark.slow
def test_a_decoder_with_adapters_goes_through_a_run(tmp_path: Path) -> None:
    changes = (f"model.backbone={json.dumps(decoder('qwen2'))}", BOTH_WRITTEN)
    trained_and_scored(SAMPLES["sequence_classification"], tmp_path, *changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "peft"),
    [
        ("bert", BOTH_WRITTEN),
        ("qwen3", "model.peft=ia3"),
        ("llama", "model.peft={per_task: lora}"),
        ("qwen2", "model.peft={type: lora, use_rslora: true}"),
    ],
)
def test_every_type_goes_through_a_run_with_adapters(sample: Sample, family: str, peft: str, tmp_path: Path) -> None:
    backbone = () if family == "bert" else (f"model.backbone={json.dumps(decoder(family))}",)
    trained_and_scored(sample, tmp_path, *backbone, peft)
