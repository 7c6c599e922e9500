"""A Trainer whose checkpoints are whole where its model is in parts: what DDP saves, FSDP saves too."""

import contextlib
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from hf_mtl.errors import CheckpointError, ModelError
from hf_mtl.modeling.sharded import set_whole_optimizer_state, set_whole_weights, whole_optimizer_state
from hf_mtl.training.saving.deepspeed_files import as_weights_alone, check_processes


class ShardedTrainer(Trainer):
    """Saves and loads a sharded model (FSDP2) and its optimizer as whole ones.

    accelerate would write the weights twice, once in a file that nothing but it reads; and a parameter without
    moments, such as those of a head whose task no step had yet, would come back with moments of one step.
    """

    @property
    def is_sharded(self) -> bool:
        """Tell whether processes hold a part of the model or of its optimizer each."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def compute_loss_context_manager(self) -> Any:
        """Compute as the Trainer does; under FSDP accelerate leaves out the autocast that it puts around DDP."""
        if not self.is_fsdp_enabled:
            return super().compute_loss_context_manager()
        stack = contextlib.ExitStack()
        stack.enter_context(self.accelerator.autocast())
        return stack

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = whole_optimizer_state(self.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if not self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        weights: dict[str, torch.Tensor] = {}
        for file in sorted(Path(resume_from_checkpoint).glob("model*.safetensors")):  # several of a large model
            weights |= safetensors.torch.load_file(file)
        try:
            set_whole_weights(self.model, weights)
        except ModelError as error:
            raise CheckpointError(error.mistakes) from error

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None) -> Any:
        given = (max_steps, train_dataloader, resume_from_checkpoint)
        if not self.is_deepspeed_enabled or resume_from_checkpoint is None:
            return super()._prepare_for_training(*given)
        check_processes(Path(resume_from_checkpoint), self.args.world_size)
        with as_weights_alone(Path(resume_from_checkpoint)):
            return super()._prepare_for_training(*given)

    def _load_best_model(self) -> None:
        best = str(self.state.best_model_checkpoint)
        if self.is_fsdp_enabled:
            self._load_from_checkpoint(best)
        elif self.is_deepspeed_enabled:
            with as_weights_alone(Path(best)):
                super()._load_best_model()
        else:
            super()._load_best_model()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.is_fsdp_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        if (optimizer := Path(checkpoint) / OPTIMIZER_NAME).exists():  # not after save_only_model
            saved = torch.load(optimizer, map_location="cpu", weights_only=True)
            set_whole_optimizer_state(self.optimizer, saved)
            schedule = torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True)
            self.lr_scheduler.load_state_dict(schedule)
