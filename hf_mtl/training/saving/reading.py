"""A Trainer that says which file of a checkpoint cannot be read, or is another run's."""

from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from transformers.trainer import SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState

from hf_mtl.errors import CheckpointError, Mistake, ModelError, RunError
from hf_mtl.foreign_json import read_object
from hf_mtl.inference import manifest
from hf_mtl.modeling.frozen_encoder import ENCODER, digest
from hf_mtl.modeling.loaded import check_weights
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.saving.sharded import ShardedTrainer
from hf_mtl.training.step.optimizer import catch_up


class ReadingTrainer(ShardedTrainer):
    """Goes on from checkpoints that are as they were written; each part that is not is named."""

    args: TrainingArguments
    _of_heads_alone = False  # the checkpoint that is read

    def _load_best_model(self) -> None:
        """Load a best checkpoint that is as it was written; the Trainer would go on without one."""
        best = Path(str(self.state.best_model_checkpoint))
        manifest.verify(best)
        self._look_for_encoder(best)
        super()._load_best_model()

    def _look_for_encoder(self, folder: Path) -> None:
        """Find out whether a checkpoint holds the heads alone, for an encoder that is the model's.

        Raises:
            CheckpointError: If its heads are for another encoder.
        """
        fields = read_object(folder / manifest.MODEL_CONFIG) if (folder / manifest.MODEL_CONFIG).exists() else {}
        source = fields.get("encoder_source")
        self._of_heads_alone = isinstance(source, dict)
        if isinstance(source, dict) and source.get("sha256") != digest(self.model.encoder.state_dict()):
            found = f"{folder}: holds the heads alone, for another encoder than that of the model.backbone of today"
            remedy = f"Give back {source.get('path')} as it was, or start anew"
            raise CheckpointError(Mistake("", found, remedy))

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse a checkpoint of another model, of which the Trainer would only warn.

        Raises:
            CheckpointError: If it lacks weights of the model, or has others.
        """
        weights = self.model.state_dict()
        loaded = {weights[key].data_ptr() for key in weights.keys() - set(load_result.missing_keys)}
        info = {
            # A tied weight is saved once, under one of its names.
            "missing_keys": {
                key
                for key in load_result.missing_keys
                if weights[key].data_ptr() not in loaded and not (self._of_heads_alone and key.startswith(ENCODER))
            },
            "unexpected_keys": set(load_result.unexpected_keys),
        }
        try:
            check_weights(info, source="the checkpoint")
        except ModelError as error:
            raise CheckpointError(error.mistakes) from error

    def checkpoint_to_resume(self, asked: str | bool | None) -> Path | None:
        """Return the checkpoint that ``train(resume_from_checkpoint=asked)`` means.

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
        manifest.verify(Path(asked))
        return Path(asked)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *args: Any, **kwargs: Any) -> None:
        """Load the model as the Trainer does.

        Raises:
            CheckpointError: If the model cannot be read.
        """
        self._look_for_encoder(Path(resume_from_checkpoint))
        with checkpoints.reading(Path(resume_from_checkpoint), "its model"):
            super()._load_from_checkpoint(resume_from_checkpoint, *args, **kwargs)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Load the scaler as the Trainer does.

        Raises:
            CheckpointError: If the scaler of fp16 cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its scaler of fp16"):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random states as the Trainer does.

        Raises:
            CheckpointError: If the states of the random numbers cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its random state"):
            super()._load_rng_state(checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load both as the Trainer does, which would begin the learning rate anew after ``save_only_model``.

        Raises:
            CheckpointError: If optimizer or schedule cannot be read.
        """
        with checkpoints.reading(Path(str(checkpoint)), "its optimizer or learning rate schedule"):
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.is_deepspeed_enabled or (Path(checkpoint) / SCHEDULER_NAME).exists():
            return
        state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
        catch_up(self.lr_scheduler, state.global_step)
