"""Values of another kind, and numbers that are none, are refused as soon as they are given."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import training_args

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.training.trainer.argument_checks import check_training


def arguments(folder: Path, **options: Any) -> MultiTaskTrainingArguments:
    return MultiTaskTrainingArguments(output_dir=str(folder), use_cpu=True, report_to="none", **options)


KINDS: list[tuple[dict[str, Any], str]] = [
    ({"max_steps": 2.5}, "max_steps: is 2.5. Allowed: a whole number"),
    ({"max_steps": "2"}, "max_steps: is '2'. Allowed: a whole number"),
    ({"seed": None}, "seed: is None. Allowed: a whole number"),
    ({"data_seed": 1.5}, "data_seed: is 1.5. Allowed: a whole number"),
    ({"save_total_limit": 1.5}, "save_total_limit: is 1.5. Allowed: a whole number"),
    ({"window_steps": None}, "window_steps: is None. Allowed: a whole number"),
    ({"gradient_accumulation_steps": 1.5}, "gradient_accumulation_steps: is 1.5. Allowed: a whole number"),
    ({"learning_rate": "1e-3"}, "learning_rate: is '1e-3'. Allowed: a number"),
    ({"weight_decay": None}, "weight_decay: is None. Allowed: a number"),
    ({"max_grad_norm": None}, "max_grad_norm: is None. Set 0, which clips nothing"),
    ({"learning_rate": float("inf")}, "learning_rate: is inf. Allowed: a finite number"),
    ({"head_learning_rate": float("nan")}, "head_learning_rate: is nan. Allowed: a finite number"),
    ({"neftune_noise_alpha": float("inf")}, "neftune_noise_alpha: is inf. Allowed: a finite number"),
    ({"max_grad_norm": float("nan")}, "max_grad_norm: is nan. Allowed: a number"),
    ({"warmup_steps": float("nan")}, "warmup_steps: is nan. Allowed: a finite number"),
    ({"bf16": "false"}, "bf16: is 'false'. Allowed: True or False"),
    (
        {"encoder_layout": "packd"},
        "encoder_layout: unknown value 'packd'. Known: auto, groups, packed, padded. Did you mean 'packed'?",
    ),
    ({"optim_args": {"momentum": 0.9}}, "optim_args: is {'momentum': 0.9}. Allowed: a text such as"),
    ({"metric_for_best_model": 3}, "metric_for_best_model: is 3. Allowed: the name of a score"),
    ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type: unknown value 'cosin'. Known: constant, "),
    ({"lr_scheduler_type": None}, "lr_scheduler_type: unknown value None. Known: constant, "),
    ({"eval_strategy": False}, "eval_strategy: unknown value False. Known: epoch, no, steps"),
    ({"optim": "adamaxx"}, "optim: unknown value 'adamaxx'. Of "),
    ({"hub_strategy": "x"}, "hub_strategy: unknown value 'x'. Known: all_checkpoints, "),
    ({"lr_scheduler_kwargs": '{"a": '}, "lr_scheduler_kwargs: is '{\"a\": ', which is no JSON: Expecting value"),
]


@pytest.mark.parametrize(("options", "said"), KINDS)
def test_a_value_of_another_kind_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match="^" + re.escape(f"training.{said}")) as caught:
        arguments(tmp_path, **options)
    assert len(caught.value.mistakes) == 1


def test_all_of_them_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        arguments(tmp_path, max_steps="2", learning_rate=None, fsdp="full_shard")
    keys = [mistake.key for mistake in caught.value.mistakes]
    assert keys == ["training.fsdp", "training.max_steps", "training.learning_rate"]


def test_a_value_that_is_set_later_is_checked_by_the_trainer(tmp_path: Path) -> None:
    args = arguments(tmp_path)
    args.learning_rate = "fast"
    assert [str(item) for item in check_training(args)] == ["training.learning_rate: is 'fast'. Allowed: a number"]


def test_whole_numbers_that_are_floats_and_numbers_of_numpy_are_taken(tmp_path: Path) -> None:
    args = arguments(
        tmp_path, per_device_train_batch_size=8.0, learning_rate=np.float32(0.5), seed=np.int64(3), bf16=0
    )
    assert isinstance(args.per_device_train_batch_size, int)
    assert check_training(args) == []


def test_no_limit_may_be_infinite(tmp_path: Path) -> None:
    args = arguments(tmp_path, max_grad_norm=float("inf"), max_flops=float("inf"), early_stopping_patience=None)
    assert check_training(args) == []


def test_numbers_of_numpy_become_plain(tmp_path: Path) -> None:
    given = {"early_stopping_patience": np.int64(3), "adam_beta1": np.float32(0.5), "save_steps": np.int64(2)}
    args = arguments(tmp_path, **given)
    assert [type(getattr(args, name)) for name in given] == [int, float, int]
    check_training(args)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("", "is ''. Allowed: the path of a folder"),
        (7, "is 7. Allowed: the path of a folder"),
        ("s3://bucket/run", "is 's3://bucket/run', an address. Allowed: the path of a folder of this machine"),
    ],
)
def test_a_place_that_is_no_folder_is_refused(folder: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"training.output_dir: {re.escape(said)}"):
        MultiTaskTrainingArguments(output_dir=folder, use_cpu=True)


@pytest.mark.parametrize(
    ("options", "key"), [({"tf32": True}, "tf32"), ({"accelerator_config": {"odd": 1}}, "accelerator_config")]
)
def test_what_transformers_refuses_is_said_like_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], key: str
) -> None:
    monkeypatch.setattr(training_args, "is_torch_tf32_available", lambda: False)
    with pytest.raises(UserError) as caught:
        arguments(tmp_path, **options)
    [mistake] = caught.value.mistakes
    assert mistake.key == f"training.{key}"
    assert mistake.problem


def test_what_was_set_since_is_looked_at_again(tmp_path: Path) -> None:
    for options, said in (
        ({"eval_strategy": "ever"}, "training.eval_strategy: unknown value 'ever'"),
        ({"fp16": True, "bf16": True}, "training.fp16: is on, and so is bf16"),
        ({"warmup_steps": -3}, "training.warmup_steps: is -3"),
        ({"torch_compile": True}, "training.torch_compile_backend: is not set, and torch_compile is on"),
        ({"save_strategy": "best"}, "training.metric_for_best_model: is not set, and the best model is to be kept"),
    ):
        args = arguments(tmp_path)
        for name, value in options.items():
            setattr(args, name, value)
        [mistake] = check_training(args)
        assert str(mistake).startswith(said)


def test_logging_may_be_set_as_transformers_sets_it(tmp_path: Path) -> None:
    args = arguments(tmp_path)
    args.set_logging(strategy="steps", steps=3)
    assert args.report_to == "none"
    assert check_training(args) == []


def test_no_report_may_be_none(tmp_path: Path) -> None:
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=None)
    assert args.report_to == []
    assert check_training(args) == []
