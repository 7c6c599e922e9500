"""What needs whole parameters is refused where processes hold parts, and the encoder's layers are found."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hf_mtl import MultiTaskTrainer
from hf_mtl.errors import RunError, UserError
from hf_mtl.training.trainer.sharding import check_device, check_first, check_sharded, wrapped_layers
from tests import tiny
from tests.training.trainers import make


def check(trainer: MultiTaskTrainer, layers: list[str] | None = None, deepspeed: bool = False) -> Any:
    plugin = SimpleNamespace(transformer_cls_names_to_wrap=layers, mixed_precision_policy="accelerate's")
    seen = SimpleNamespace(
        is_fsdp_enabled=not deepspeed,
        is_deepspeed_enabled=deepspeed,
        args=SimpleNamespace(max_grad_norm=0),
        optimizer=None,
        lr_scheduler=None,
        model=trainer.model,
        accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)),
    )
    check_sharded(seen, trainer.schedules)  # type: ignore[arg-type]
    return plugin


def test_schedules_that_freeze_or_measure_are_refused(tmp_path: Path) -> None:
    specs = [{"type": "mt2st_switch", "main": "topic", "at": 0.5, "freeze": "embeddings"}]
    with pytest.raises(UserError, match="freeze embeddings in some steps, and fsdp has made its parts of all"):
        check(make(tmp_path, schedules=specs))


def test_deepspeed_would_move_heads_that_are_put_back(tmp_path: Path) -> None:
    options: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 1, "schedules": ["task_early_stopping"]}
    trainer = make(tmp_path, **options)
    check(trainer)
    with pytest.raises(UserError, match="put heads back to their best, and DeepSpeed would move them on"):
        check(trainer, deepspeed=True)


def test_layers_are_gathered_one_by_one_and_embeddings_by_themselves(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    assert "BertEmbeddings" in trainer.model.encoder._no_split_modules
    assert wrapped_layers(trainer.model) == ["BertLayer"]
    plugin = check(trainer)
    assert plugin.transformer_cls_names_to_wrap == ["BertLayer"]
    assert plugin.mixed_precision_policy is None
    with pytest.raises(UserError, match="names 'TaskHeads'"):
        check(trainer, ["TaskHeads"])


def test_a_parameter_of_one_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="log_tau, a parameter of one number, of which fsdp makes no parts"):
        check(make(tmp_path, model=tiny.model(head="vip")))


def test_the_encoder_is_one_where_it_names_no_layers() -> None:
    model = tiny.model()
    model.encoder._no_split_modules = None
    assert wrapped_layers(model) == []


def test_what_accelerate_would_pass_over_is_refused() -> None:
    device = SimpleNamespace(type="cpu")
    args = SimpleNamespace(fsdp=True, deepspeed=None, device=device)
    trainer: Any = SimpleNamespace(args=args, is_sharded=False)
    with pytest.raises(UserError, match=r"training\.fsdp: is set, and accelerate has it for accelerators alone"):
        check_device(trainer)
    args.fsdp, args.deepspeed = False, {"zero_optimization": {"stage": 2}}
    with pytest.raises(UserError, match=r"training\.deepspeed: is set"):
        check_device(trainer)
    trainer.is_sharded = True
    check_device(trainer)


def test_a_model_in_parts_is_trained_once_by_a_trainer() -> None:
    model = tiny.model()
    trainer: Any = SimpleNamespace(is_sharded=True, model=model, model_wrapped=model)
    check_first(trainer)
    trainer.model_wrapped = "DeepSpeed's"
    with pytest.raises(RunError, match="was trained by this Trainer before, and is in parts"):
        check_first(trainer)
    trainer.is_sharded = False
    check_first(trainer)
