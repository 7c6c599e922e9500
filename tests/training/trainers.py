"""Trainers of the tiny world, of a few steps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments
from tests import tiny

SMALL = {"topic": 30, "mood": 12, "score": 18}


def make(
    folder: Path,
    *,
    model: MultiTaskModel | None = None,
    train: Mapping[str, Dataset] | Dataset | None = None,
    evaluation: Mapping[str, Dataset] | Dataset | None = None,
    weighting: str | dict[str, Any] | None = "ew",
    balancing: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    mixture: dict[str, Any] | None = None,
    schedules: Sequence[str | dict[str, Any]] = (),
    callbacks: list[TrainerCallback] | None = None,
    compute_metrics: Callable[..., dict[str, Any]] | None = None,
    optimizers: tuple[Any, Any] = (None, None),
    optimizer_cls_and_kwargs: tuple[Any, dict[str, Any]] | None = None,
    cls: type[MultiTaskTrainer] = MultiTaskTrainer,
    allow_code: bool = False,
    **options: Any,
) -> MultiTaskTrainer:
    defaults: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 16,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return cls(
        model=model or tiny.model(),
        args=MultiTaskTrainingArguments(**{**defaults, **options}),
        train_dataset=tiny.datasets(SMALL) if train is None else train,
        eval_dataset=tiny.datasets(SMALL, seed=1) if evaluation is None else evaluation,
        processing_class=tiny.tokenizer(),
        data=data,
        mixture=mixture,
        balancing={"weighting": weighting, **(balancing or {})},
        schedules=schedules,
        callbacks=callbacks,
        compute_metrics=compute_metrics,
        optimizers=optimizers,
        optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
        allow_code=allow_code,
    )


def parameters(trainer: MultiTaskTrainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def records(trainer: MultiTaskTrainer, key: str) -> list[float]:
    return [record[key] for record in trainer.state.log_history if key in record]
