"""A run with adapters trains adapters and heads, nothing else, and goes on from its checkpoints."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments, prepare
from tests import tiny
from tests.training import killing


def trainer(folder: Path, **arguments: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        weight_decay=0.1,
        max_steps=10,
        save_steps=5,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **arguments,
    )
    model = tiny.model(dropout=0.1, peft={"type": "lora", "r": 4, "lora_dropout": 0.1})
    return MultiTaskTrainer(
        model=model, args=args, train_dataset=tiny.datasets(), processing_class=tiny.tokenizer(), balancing={}
    )


def copy_of(model: MultiTaskModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_ten_steps_move_adapters_and_heads_and_nothing_else(tmp_path: Path) -> None:
    run = trainer(tmp_path, save_strategy="no", head_learning_rate=1e-3)
    before, parameters = copy_of(run.model), dict(run.model.named_parameters())
    run.train()
    after = run.model.state_dict()
    moved = {name for name in parameters if not torch.equal(before[name], after[name])}
    assert moved == {name for name in parameters if ".lora_" in name or name.startswith("heads.")}
    groups = {id(p): group["initial_lr"] for group in run.optimizer.param_groups for p in group["params"]}
    rates = {name: groups[id(parameter)] for name, parameter in parameters.items() if id(parameter) in groups}
    assert rates == {name: 1e-2 if ".lora_" in name else 1e-3 for name in moved}


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    reference = trainer(tmp_path)
    reference.train()
    run = trainer(tmp_path)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert run.state.global_step == 10
    middle = load_file(tmp_path / "checkpoint-5/model.safetensors")
    expected, found = reference.model.state_dict(), run.model.state_dict()
    assert expected.keys() == found.keys() == middle.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert any(not torch.equal(expected[name], middle[name]) for name in expected if ".lora_A." in name)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-10").state_dict()
    assert all(torch.equal(expected[name], loaded[name]) for name in expected)


def test_a_recipe_gives_the_model_its_adapters(tmp_path: Path) -> None:
    path = killing.write_recipe(tmp_path)
    found = {}
    for value in ("true", "{rank: 2, target_modules: [query]}", "false", "null"):
        recipe = load_recipe(path, [f"model.lora={value}"])
        args = make_arguments(recipe, output_dir=str(tmp_path / "run"))
        found[value] = prepare(recipe, args, None).new_model().config.peft
    ranks = {value: options and (options["rank"], options["target_modules"]) for value, options in found.items()}
    assert ranks == {
        "true": (8, "all-linear"),
        "{rank: 2, target_modules: [query]}": (2, ["query"]),
        "false": None,
        "null": None,
    }
