"""A trainer whose steps are watched."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer
from tests.training.trainers import make, parameters


class Watch(TrainerCallback):
    """Keeps the parameters after every step, and which of them had a gradient before the optimizer's."""

    def __init__(self) -> None:
        self.trainer: MultiTaskTrainer
        self.after: list[dict[str, torch.Tensor]] = []
        self.graded: list[set[str]] = []
        self.rates: list[float] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        named = self.trainer.model.named_parameters()
        self.graded.append({name for name, parameter in named if parameter.grad is not None})

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rates.append(self.trainer.optimizer.param_groups[0]["lr"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.after.append(parameters(self.trainer))


def watched(folder: Path, **options: Any) -> tuple[MultiTaskTrainer, Watch]:
    watch = Watch()
    trainer = make(folder, callbacks=[watch], weight_decay=0.1, window_steps=4, **{"max_steps": 8, **options})
    watch.trainer = trainer
    trainer.train()
    return trainer, watch


def heads_of(found: dict[str, torch.Tensor], *tasks: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in found.items() if any(f"task_{task}." in name for task in tasks)}


def encoder_of(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in found.items() if name.startswith("encoder")}
