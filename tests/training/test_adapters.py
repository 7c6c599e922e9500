"""A run with adapters trains adapters and heads, nothing else, and goes on from its checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, Regression
from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS
from hf_mtl.errors import UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments, prepare
from tests import tiny
from tests.modeling.families import some_fast
from tests.training import killing

LORA = {"type": "lora", "r": 4, "lora_alpha": 16, "lora_dropout": 0.1}
KINDS: dict[str, Any] = {
    "lora": LORA,
    "dora": {**LORA, "use_dora": True},
    "ia3": "ia3",
    "of each task": {"per_task": LORA},
    "both": {"shared": {"type": "lora", "r": 2}, "per_task": LORA},
}


METHOD_OPTIONS: dict[str, Any] = {
    "pcd": {"main": "topic"},
    "ngdiff": {"signs": {"topic": 1, "mood": 1, "score": 1}},
}


def trainer(folder: Path, peft: Any = LORA, balancing: Any = None, **arguments: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        output_dir=str(folder),
        weight_decay=0.1,
        save_steps=5,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **{"learning_rate": 1e-2, "max_steps": 10, "per_device_train_batch_size": 16, **arguments},
    )
    return MultiTaskTrainer(
        model=tiny.model(dropout=0.1, peft=peft),
        args=args,
        train_dataset=tiny.datasets(),
        eval_dataset=tiny.datasets(seed=1),
        processing_class=tiny.tokenizer(),
        balancing=balancing or {},
    )


def copy_of(model: MultiTaskModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", some_fast(KINDS, "lora", "of each task"))
def test_ten_steps_move_adapters_and_heads_and_nothing_else(kind: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, KINDS[kind], save_strategy="no", head_learning_rate=1e-3)
    before, parameters = copy_of(run.model), dict(run.model.named_parameters())
    adapters = {name for name, parameter in parameters.items() if parameter.requires_grad and "heads." not in name}
    assert len(adapters) >= 8
    run.train()
    after = run.model.state_dict()
    moved = {name for name in parameters if not torch.equal(before[name], after[name])}
    assert moved == adapters | {name for name in parameters if name.startswith("heads.")}
    groups = {id(p): group["initial_lr"] for group in run.optimizer.param_groups for p in group["params"]}
    rates = {name: groups[id(parameter)] for name, parameter in parameters.items() if id(parameter) in groups}
    assert rates == {name: 1e-2 if name in adapters else 1e-3 for name in moved}


@pytest.mark.parametrize("kind", some_fast(KINDS, "ia3", "both"))
def test_a_resumed_run_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    reference = trainer(tmp_path, KINDS[kind])
    reference.train()
    scores = reference.evaluate()
    run = trainer(tmp_path, KINDS[kind])
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert run.state.global_step == 10
    middle = load_file(tmp_path / "checkpoint-5/model.safetensors")
    expected, found = reference.model.state_dict(), run.model.state_dict()
    assert expected.keys() == found.keys() == middle.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    trained = [name for name, one in run.model.named_parameters() if one.requires_grad and "heads." not in name]
    assert all(not torch.equal(expected[name], middle[name]) for name in trained)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-10").state_dict()
    assert all(torch.equal(expected[name], loaded[name]) for name in expected)
    keys = [key for key in scores if key.endswith("loss")]
    again = run.evaluate()
    assert {key: again[key] for key in keys} == {key: scores[key] for key in keys}
    with pytest.raises(UserError, match="peft"):
        trainer(tmp_path, {"type": "lora", "r": 7}).train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))


def losses(run: MultiTaskTrainer) -> list[float]:
    return [record["loss"] for record in run.state.log_history if "loss" in record]


@pytest.mark.parametrize("layout", some_fast(["packed", "groups", "padded"], "groups"))
def test_private_adapters_train_alike_in_every_layout_and_in_parts_of_a_step(layout: str, tmp_path: Path) -> None:
    options = {"learning_rate": 1e-3, "max_steps": 3, "save_strategy": "no", "logging_steps": 1, "optim": "sgd"}
    peft = {"shared": {"type": "lora", "r": 2}, "per_task": {"type": "lora", "r": 4}}
    runs = []
    for place, more in enumerate(({"encoder_layout": "packed"}, {"encoder_layout": layout, "split": True})):
        split = more.pop("split", False)
        sizes = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4} if split else {}
        run = trainer(tmp_path / str(place), peft, **{**options, **more, **sizes})
        for module in run.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        run.train()
        runs.append(run)
    assert losses(runs[0]) == pytest.approx(losses(runs[1]), rel=1e-4)
    left, right = (run.model.state_dict() for run in runs)
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", ["both", pytest.param("dora", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("aggregator", "pcgrad"),
        *(
            pytest.param(family, name, marks=pytest.mark.slow)
            for family, kinds in (("weighting", WEIGHTINGS), ("aggregator", AGGREGATORS))
            for name in kinds.names()
            if name not in ("pcgrad", "fixed", "pareto")
        ),
    ],
)
def test_every_method_balances_a_model_with_adapters(kind: str, family: str, name: str, tmp_path: Path) -> None:
    method = {"name": name, **METHOD_OPTIONS.get(name, {})}
    run = trainer(tmp_path, KINDS[kind], {family: method}, max_steps=2, save_strategy="no")
    before = copy_of(run.model)
    run.train()
    after = run.model.state_dict()
    trained = [name for name, one in run.model.named_parameters() if one.requires_grad]
    assert all(torch.isfinite(after[name]).all() for name in trained)
    assert sum(not torch.equal(before[name], after[name]) for name in trained) > 0.9 * len(trained)


def test_methods_of_gradients_want_something_that_is_shared(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="'pcgrad' needs the gradients of what all tasks share, and none of it is trained"
    ):
        trainer(tmp_path, KINDS["of each task"], {"aggregator": "pcgrad"})


def test_a_text_of_several_tasks_is_encoded_for_each_of_them(tmp_path: Path) -> None:
    rows = tiny.rows("score", 30)
    tasks: dict[str, Any] = {name: Regression(label=name) for name in ("x", "y")}
    lengths = {}
    for peft in (None, "lora", {"per_task": "lora"}):
        run = MultiTaskTrainer(
            model=tiny.model(tasks=tasks, peft=peft),
            args=MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none"),
            train_dataset=dict.fromkeys(tasks, rows),
            processing_class=tiny.tokenizer(),
        )
        batch = next(iter(run.get_train_dataloader()))
        batch = batch[0] if isinstance(batch, list) else batch
        lengths[str(peft)] = len(batch["packed"]["lengths"])
        assert ("cut" in batch["packed"]) == isinstance(peft, dict)
    assert lengths["None"] == lengths["lora"] == lengths["{'per_task': 'lora'}"] / 2


def test_a_recipe_gives_the_model_its_adapters(tmp_path: Path) -> None:
    path = killing.write_recipe(tmp_path)
    found = {}
    for value in ("lora", "{type: lora, r: 2, target_modules: [query]}", "null"):
        recipe = load_recipe(path, [f"model.peft={value}"])
        args = make_arguments(recipe, output_dir=str(tmp_path / "run"))
        found[value] = prepare(recipe, args, None).new_model().config.peft
    ranks = {value: options and (options["r"], options["target_modules"]) for value, options in found.items()}
    assert ranks == {
        "lora": (8, "all-linear"),
        "{type: lora, r: 2, target_modules: [query]}": (2, ["query"]),
        "null": None,
    }
