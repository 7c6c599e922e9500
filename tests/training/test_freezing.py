"""A run leaves the frozen part of the encoder as it is, and goes on from its checkpoints in the same way."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hf_mtl import MultiTaskModel, MultiTaskTrainer
from hf_mtl.errors import ModelError
from hf_mtl.modeling.freezing import Freeze
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments, prepare
from tests import tiny
from tests.training import killing
from tests.training.trainers import make

FROZEN = {
    "embeddings": ("encoder.embeddings.",),
    1: ("encoder.embeddings.", "encoder.encoder.layer.0."),
    "encoder": ("encoder.",),
}


def trainer(folder: Path, freeze: Freeze, **options: Any) -> MultiTaskTrainer:
    model = tiny.model(dropout=0.1, freeze=freeze)
    return make(folder, model=model, weight_decay=0.1, learning_rate=1e-2, **options)


@pytest.mark.parametrize("freeze", FROZEN)
def test_a_run_moves_everything_but_the_frozen_part(freeze: Freeze, tmp_path: Path) -> None:
    run = trainer(tmp_path, freeze, optim="adamw_torch", head_learning_rate=1e-3)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.train()
    names = {name for name, _ in run.model.named_parameters()}
    moved = {name for name in names if not torch.equal(before[name], run.model.state_dict()[name])}
    assert moved == {name for name in names if not name.startswith(FROZEN[freeze])}
    in_optimizer = {id(item) for group in run.optimizer.param_groups for item in group["params"]}
    assert in_optimizer == {id(item) for name, item in run.model.named_parameters() if name in moved}


def test_training_and_evaluation_leave_frozen_parts_without_dropout(tmp_path: Path) -> None:
    run = trainer(tmp_path, 1, eval_strategy="steps", eval_steps=1)
    modes: list[tuple[bool, ...]] = []
    layers: list[nn.Module] = list(run.model.encoder.encoder.layer)

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        modes.append((run.model.training, *(any(part.training for part in layer.modules()) for layer in layers)))

    run.model.encoder.register_forward_hook(note)
    run.train()
    run.evaluate()
    assert set(modes) == {(True, False, True), (False, False, False)}


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    reference = trainer(tmp_path, 1, **options)
    reference.train()
    run = trainer(tmp_path, 1, **options)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    expected, middle = reference.model.state_dict(), load_file(tmp_path / "checkpoint-2/model.safetensors")
    assert all(torch.equal(expected[name], value) for name, value in run.model.state_dict().items())
    assert any(not torch.equal(expected[name], value) for name, value in middle.items())
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-4")
    assert {n for n, p in loaded.named_parameters() if not p.requires_grad} == {
        name for name in middle if name.startswith(FROZEN[1])
    }


def test_a_recipe_says_what_is_frozen(tmp_path: Path) -> None:
    path = killing.write_recipe(tmp_path)

    def model_of(*overrides: str) -> MultiTaskModel:
        recipe = load_recipe(path, list(overrides))
        args = make_arguments(recipe, output_dir=str(tmp_path / "run"))
        return prepare(recipe, args, None).new_model()

    for written, expected in (("embeddings", "embeddings"), ("2", 2), ("encoder", "encoder"), ("null", None)):
        assert model_of(f"model.freeze={written}").config.freeze == expected
    assert model_of("model.head=stl_cnn").config.freeze == "encoder"
    with pytest.raises(ModelError, match=r"^command line: model\.freeze: found 3, and the backbone has 2 layers\."):
        model_of("model.freeze=3")
