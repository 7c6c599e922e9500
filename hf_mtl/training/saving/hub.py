"""A Trainer that sends model, tokenizer and card to the Hub; no token, and nothing that only means something here."""

import copy
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from huggingface_hub import upload_folder
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils.hub import PushInProgress

from hf_mtl.errors import Mistake, RunError, one_line
from hf_mtl.inference import manifest
from hf_mtl.progress import as_disable_tqdm_says
from hf_mtl.shown import get_logger
from hf_mtl.training.saving.outbox import OUTBOX, REMEDY, await_push, forget_place, pack, remove, repo_name

logger = get_logger(__name__)

# What of a checkpoint only training needs.
_STATE = ("optimizer.*", "scheduler.pt", "scaler.pt", "rng_state*", "trainer_state.json")
_OUR_STATE = (manifest.STATE_FILE, manifest.MANIFEST)


class HubTrainer(Trainer):
    """Pushes from a folder in ``output_dir``, which itself also holds local paths, logs and half-done work.

    A push of a checkpoint that fails ends no training.

    Attributes:
        waits_for_pushes: Whether training ends only when the pushes of its checkpoints have, as with the Trainer;
            otherwise `finish_pushes` waits for them.
    """

    args: TrainingArguments
    push_in_progress: PushInProgress | None
    waits_for_pushes = True
    _lost_pushes = 0

    def init_hf_repo(self, *args: Any, **kwargs: Any) -> None:
        """Find or make the repository as the Trainer does.

        Raises:
            RunError: If the repository can be neither found nor made; nothing is trained.
        """
        try:
            super().init_hf_repo(*args, **kwargs)
        except Exception as error:  # a wrong name, no connection, or whatever a server or a proxy may answer
            found = f"cannot push to '{repo_name(self.args)}': {one_line(error)}"
            remedy = f"{REMEDY}; or set push_to_hub: false"
            raise RunError(Mistake("training.push_to_hub", found, remedy)) from error

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save as the Trainer does; training_args.bin, which is pushed too, keeps neither token nor place."""
        arguments = self.args
        self.args = shareable(arguments)
        try:
            super()._save(output_dir or str(arguments.output_dir), state_dict)
        finally:
            self.args = arguments

    @as_disable_tqdm_says
    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """Push as the Trainer does, from a folder of its own."""
        output_dir = str(self.args.output_dir)
        run = Path(output_dir).absolute()
        outbox = run / OUTBOX
        self.args.output_dir = str(outbox / run.name)  # a card without hub_model_id has the folder's name
        sent = None
        try:
            sent = super().push_to_hub(*args, **kwargs)
        finally:
            self.args.output_dir = output_dir
            if isinstance(sent, Future):
                sent.add_done_callback(lambda _: remove(outbox))
            elif self.is_world_process_zero():
                remove(outbox)
        return sent

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Draft the card as the Trainer does; without rows of an evaluation batch where tokens make it."""
        rows = self.args.per_device_eval_batch_size
        self.args.per_device_eval_batch_size = rows or 1  # the draft multiplies it
        try:
            super().create_model_card(*args, **kwargs)
        finally:
            self.args.per_device_eval_batch_size = rows
        card = Path(str(self.args.output_dir)) / "README.md"
        if rows is None and self.is_world_process_zero() and card.exists():
            lines = card.read_text("utf-8").splitlines(keepends=True)
            said = ("- eval_batch_size:", "- total_eval_batch_size:")
            card.write_text("".join(line for line in lines if not line.startswith(said)), "utf-8")

    def pack_card(self) -> None:
        """Write the card of the final model, which `send_model` sends with it; until then the model waits."""
        if not self.is_world_process_zero():
            return
        folder = await_push(Path(str(self.args.output_dir)))
        output_dir, self.args.output_dir = self.args.output_dir, str(folder)
        try:
            self.callback_handler.on_push_begin(self.args, self.state, self.control)
            self.create_model_card(model_name=(self.args.hub_model_id or Path(str(output_dir)).name).split("/")[-1])
        except Exception as error:  # a model without a card is better than no model
            logger.warning(f"The card of the model could not be written: {one_line(error)}.")
        finally:
            self.args.output_dir = output_dir

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push a checkpoint's model, and the whole of it where ``hub_strategy`` says so, in the background."""
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        try:
            self._begin_push(Path(checkpoint_folder))
        except Exception as error:
            self._note_lost_push(error)

    def _begin_push(self, checkpoint: Path) -> None:
        outbox = Path(str(self.args.output_dir)) / OUTBOX
        if self.push_in_progress is None or self.push_in_progress.is_done():
            self._finish_current_push()
            shutil.rmtree(outbox, ignore_errors=True)
        elif not self.args.hub_always_push:
            return
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        folder = pack(checkpoint, outbox)
        message = f"Training in progress, step {self.state.global_step}"
        jobs = [self._upload(folder, message, ignore_patterns=[*_STATE, *_OUR_STATE])]
        if self.args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            place = "last-checkpoint" if self.args.hub_strategy == HubStrategy.CHECKPOINT else folder.name
            forget_place(folder)
            jobs.append(self._upload(folder, f"{message}, checkpoint", path_in_repo=place))
        jobs[-1].add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
        self.push_in_progress = self.push_in_progress or PushInProgress([])
        self.push_in_progress.jobs.extend(jobs)

    def _upload(self, folder: Path, message: str, **options: Any) -> Future[Any]:
        job: Future[Any] = upload_folder(
            repo_id=self.hub_model_id,
            folder_path=folder,
            commit_message=message,
            token=self.args.hub_token,
            revision=self.args.hub_revision,
            run_as_future=True,
            **options,
        )
        return job

    def finish_pushes(self) -> None:
        """Wait for the pushes of checkpoints, and say how many failed."""
        self.waits_for_pushes = True
        self._finish_current_push()
        if self._lost_pushes > 1:
            logger.warning(f"{self._lost_pushes} pushes of checkpoints to {self.hub_model_id} failed.")

    def _finish_current_push(self) -> None:
        """Wait as the Trainer does, if it is to wait; note what went wrong in the background."""
        running = getattr(self, "push_in_progress", None)
        if running is None or not (self.waits_for_pushes or running.is_done()):
            return
        super()._finish_current_push()
        for job in running.jobs:
            if error := job.exception():
                self._note_lost_push(error)
        self.push_in_progress = None

    def _note_lost_push(self, error: BaseException) -> None:
        """Say the first, and count: there may be one at every save."""
        self._lost_pushes += 1
        if self._lost_pushes == 1:
            reason = one_line(error)
            logger.warning(f"A checkpoint was not pushed to {self.hub_model_id}: {reason}. Training goes on.")


def shareable(args: TrainingArguments) -> TrainingArguments:
    """Return the arguments without the token, and without where on this machine the run was."""
    shared = copy.copy(args)
    shared.hub_token = None
    shared.output_dir = Path(str(args.output_dir)).name
    return shared
