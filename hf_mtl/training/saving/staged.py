"""A Trainer whose checkpoints are whole or not there, and that resumes a run in its own bits."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from torch import nn
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import SaveStrategy, TrainOutput

from hf_mtl.disk import writing
from hf_mtl.errors import DiskError
from hf_mtl.inference import manifest
from hf_mtl.progress import as_disable_tqdm_says
from hf_mtl.shown import get_logger
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.own_checkpoints import keep_only, publish, refuse_strangers, remove, remove_empty, rotate
from hf_mtl.training.folder.run_record import STAGING, WORK
from hf_mtl.training.saving.callback_states import CallbackStates
from hf_mtl.training.saving.hub import HubTrainer
from hf_mtl.training.saving.reading import ReadingTrainer
from hf_mtl.training.saving.rotation import removable
from hf_mtl.training.together import all_or_none

logger = get_logger(__name__)


class StagedTrainer(ReadingTrainer, HubTrainer):
    """Stages each checkpoint beside its place, adds what is ours, seals it, and moves it there in one rename."""

    _staging: Path | None = None
    _unwritten: DiskError | None = None  # what stopped this process from writing its part of a checkpoint

    def stateful(self) -> dict[str, checkpoints.Stateful]:
        """Name everything that remembers and that the Trainer does not save itself."""
        return {"callbacks": CallbackStates(self.callback_handler.callbacks, self.control)}

    def _get_output_dir(self, trial: Any) -> str:
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as the Trainer does, whole or not at all.

        Raises:
            DiskError: If any process cannot write its part; on all of them.
        """
        run = Path(self._get_output_dir(trial))
        name = f"checkpoint-{self.state.global_step}"
        self._know_callbacks()
        try:
            self._stage(run, name, model, trial)
        except DiskError as error:
            if not (error.full and self._make_room(run)):
                raise self._with_hint(error) from error
            self._stage(run, name, model, trial)
        with all_or_none(run):
            if self.args.should_save:
                rotate(run, self.args.save_total_limit, run / name, self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(run / name))

    def _know_callbacks(self) -> None:
        """Add callbacks that the run has only since it was resumed, such as early stopping, to its state.

        The Trainer would look for them in the state that the checkpoint has brought, and fail.
        """
        for item in self.callback_handler.callbacks:
            if isinstance(item, ExportableState):
                self.state.stateful_callbacks.setdefault(type(item).__name__, item.state())

    def _stage(self, run: Path, name: str, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint beside its place and move it there; what is half written makes room again."""
        self._staging, self._unwritten = run / STAGING, None
        try:
            with all_or_none(run):
                self._write_part(super()._save_checkpoint, model, trial)
                self._name_best(run)
                if self._unwritten is not None:
                    raise self._unwritten
            with all_or_none(run, self._staging / name):
                if self.args.should_save:
                    self._seal(self._staging / name)
                    publish(self._staging / name, run / name)
                    remove_empty(run / WORK)
        except DiskError:
            if self.args.should_save:
                shutil.rmtree(self._staging, ignore_errors=True)
                remove_empty(run / WORK)
            raise
        finally:
            self._staging = None

    def _write_part(self, write: Callable[..., None], *args: Any, file: str = "") -> None:
        """Write something; of a checkpoint, remember what the disk refuses until all processes can be told.

        Every part is tried, as the processes wait for each other between and within them; what goes wrong after the
        first refusal follows from it, such as a folder that is not there.
        """
        if self._staging is None:
            return write(*args)
        try:
            with writing(self._staging / f"checkpoint-{self.state.global_step}" / file):
                write(*args)
        except DiskError as error:
            self._unwritten = self._unwritten or error
        except Exception:
            if self._unwritten is None:
                raise

    @as_disable_tqdm_says
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model as the Trainer does."""
        self._write_part(super().save_model, output_dir, _internal_call)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        self._write_part(super()._save_optimizer_and_scheduler, output_dir)

    def _save_scaler(self, output_dir: str) -> None:
        self._write_part(super()._save_scaler, output_dir)

    def _save_rng_state(self, output_dir: str) -> None:
        rank = "" if self.args.world_size <= 1 else f"_{self.args.process_index}"
        # By name, as every process writes one at the same time.
        self._write_part(super()._save_rng_state, output_dir, file=f"rng_state{rank}.pth")

    def _make_room(self, run: Path) -> bool:
        """Remove now what rotation would remove after the save; whether there was anything, on any process."""
        mine = self.args.should_save
        old = removable(run, self.args.save_total_limit, self.state.best_model_checkpoint) if mine else []
        found = gather_object([path.name for path in old])
        remove(old)
        if found and self.is_world_process_zero():
            names = ", ".join(dict.fromkeys(found))
            logger.warning(f"The disk of {run} is full: removed {names} before the save, not after it; trying again.")
        self.accelerator.wait_for_everyone()
        return bool(found)

    def _with_hint(self, error: DiskError) -> DiskError:
        if not error.full or self.args.save_total_limit:
            return error
        hint = "training.save_total_limit removes older checkpoints as the run goes on, which makes room."
        return DiskError(f"{error} {hint}", error.full)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """End as the Trainer does, but remove no other program's checkpoints where the limit is 1."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            output = super()._finalize_training(*args, **kwargs)
        finally:
            self.args.save_total_limit = limit
        if limit == 1 and self.args.should_save and self.state.best_model_checkpoint is not None:
            keep_only(Path(self.state.best_model_checkpoint))
        return output

    def refuse_occupied(self, start: Path | None, last: int) -> None:
        """Refuse to train where a checkpoint could not be saved.

        Args:
            start: The checkpoint that training goes on from; None: from the beginning.
            last: The last step.

        Raises:
            RunError: If somebody else's files have the place of one.
        """
        if self.args.save_strategy == SaveStrategy.NO:
            return
        # A checkpoint that was given by its path may be called otherwise.
        first = checkpoints.step_of(start) if start and checkpoints.is_checkpoint(start.name) else 0
        found = Path(str(self.args.output_dir)).glob("checkpoint-*")
        places = [path for path in found if checkpoints.is_checkpoint(path.name)]
        refuse_strangers([path for path in places if first < checkpoints.step_of(path) <= last])

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        """Begin as the Trainer does; the best checkpoint is the run's own, also where its folder was moved."""
        begun = super()._init_training_state(*args, **kwargs)
        self._name_own_best()
        found: tuple[int, int] = begun
        return found

    def _name_own_best(self) -> None:
        run = Path(str(self.args.output_dir))
        if (run / f"checkpoint-{self.state.best_global_step}").is_dir():
            self._name_best(run)

    def _name_best(self, run: Path) -> None:
        """Say where the best checkpoint will be, on every process: the staged path does not last."""
        best = self.state.best_global_step
        if best and (best == self.state.global_step or (run / f"checkpoint-{best}").is_dir()):
            self.state.best_model_checkpoint = str(run / f"checkpoint-{best}")

    def _seal(self, staged: Path) -> None:
        self.state.save_to_json(str(staged / "trainer_state.json"))
        checkpoints.save_state(staged / manifest.STATE_FILE, self.stateful())
        manifest.seal(staged)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self._staging is None:  # a staged folder is about to move: it is pushed from its place
            super()._push_from_checkpoint(checkpoint_folder)
