"""A Trainer whose checkpoints are whole or not there, and that resumes a run in its own bits."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers.trainer import SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import rotate_checkpoints

from hf_mtl.errors import CheckpointError, ModelError, RunError
from hf_mtl.modeling.loaded import check_weights
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.callbacks import CallbackStates
from hf_mtl.training.hub import HubTrainer
from hf_mtl.training.optimizer import catch_up


class StagedTrainer(HubTrainer):
    """Stages each checkpoint beside its place, adds what is ours, seals it, and moves it there in one rename."""

    _staging: Path | None = None

    def stateful(self) -> dict[str, checkpoints.Stateful]:
        """Everything that remembers and that the Trainer does not save itself, by name."""
        return {"callbacks": CallbackStates(self.callback_handler.callbacks, self.control)}

    def _get_output_dir(self, trial: Any) -> str:
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        run = Path(self._get_output_dir(trial))
        name = f"checkpoint-{self.state.global_step}"
        self._staging = run / "staging"
        try:
            super()._save_checkpoint(model, trial)
            self._name_best(run)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                self._seal(self._staging / name)
                checkpoints.publish(self._staging / name, run / name)
                self._staging.rmdir()
                rotate_checkpoints(
                    output_dir=str(run),
                    save_total_limit=self.args.save_total_limit,
                    best_model_checkpoint=self.state.best_model_checkpoint,
                )
        finally:
            self._staging = None
        self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(run / name))

    def _name_best(self, run: Path) -> None:
        """Say where the best checkpoint will be, on every process: the staged path does not last."""
        best = self.state.best_global_step
        if best and (best == self.state.global_step or (run / f"checkpoint-{best}").is_dir()):
            self.state.best_model_checkpoint = str(run / f"checkpoint-{best}")

    def _seal(self, staged: Path) -> None:
        self.state.save_to_json(str(staged / "trainer_state.json"))
        checkpoints.save_state(staged / checkpoints.STATE_FILE, self.stateful())
        checkpoints.seal(staged)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self._staging is None:  # a staged folder is about to move: it is pushed from its place
            super()._push_from_checkpoint(checkpoint_folder)

    def _load_best_model(self) -> None:
        """As the Trainer's, of a checkpoint that is as it was written; the Trainer goes on without one."""
        checkpoints.verify(Path(str(self.state.best_model_checkpoint)))
        super()._load_best_model()

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse a checkpoint of another model, of which the Trainer would only warn.

        Raises:
            CheckpointError: If it lacks weights of the model, or has others.
        """
        weights = self.model.state_dict()
        loaded = {weights[key].data_ptr() for key in weights.keys() - set(load_result.missing_keys)}
        info = {
            # A tied weight is saved once, under one of its names.
            "missing_keys": {key for key in load_result.missing_keys if weights[key].data_ptr() not in loaded},
            "unexpected_keys": set(load_result.unexpected_keys),
        }
        try:
            check_weights(info, source="the checkpoint")
        except ModelError as error:
            raise CheckpointError(error.mistakes) from error

    def checkpoint_to_resume(self, asked: str | bool | None) -> Path | None:
        """The checkpoint that ``train(resume_from_checkpoint=asked)`` means.

        Raises:
            CheckpointError: If the named checkpoint is damaged; names the file.
            RunError: If the run has no whole checkpoint.
        """
        if asked is None or asked is False:
            return None
        if asked is True:
            found = checkpoints.newest_whole(Path(str(self.args.output_dir)))
            if found is None:
                raise RunError(f"{self.args.output_dir}: has no whole checkpoint to resume from")
            return found
        checkpoints.verify(Path(asked))
        return Path(asked)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *args: Any, **kwargs: Any) -> None:
        """As the Trainer's.

        Raises:
            CheckpointError: If the model cannot be read.
        """
        with checkpoints.reading(Path(resume_from_checkpoint), "its model"):
            super()._load_from_checkpoint(resume_from_checkpoint, *args, **kwargs)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """As the Trainer's.

        Raises:
            CheckpointError: If the scaler of fp16 cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its scaler of fp16"):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """As the Trainer's.

        Raises:
            CheckpointError: If the states of the random numbers cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its random state"):
            super()._load_rng_state(checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As the Trainer's, which would begin the learning rate anew after ``save_only_model``.

        Raises:
            CheckpointError: If optimizer or schedule cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its optimizer or learning rate schedule"):
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.is_deepspeed_enabled or (Path(checkpoint) / SCHEDULER_NAME).exists():
            return
        state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
        catch_up(self.lr_scheduler, state.global_step)
