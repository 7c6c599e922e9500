"""What a run sends to the Hub: model, tokenizer and card; no token, and nothing that only means something here."""

import copy
import json
import os
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from huggingface_hub import upload_folder
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging
from transformers.utils.hub import PushInProgress

from hf_mtl.errors import Mistake, RunError
from hf_mtl.training import checkpoint as checkpoints

logger = logging.get_logger(__name__)

# What of a checkpoint only training needs.
_STATE = ("optimizer.*", "scheduler.pt", "scaler.pt", "rng_state*", "trainer_state.json")
_OUR_STATE = (checkpoints.STATE_FILE, checkpoints.MANIFEST)


class HubTrainer(Trainer):
    """Pushes from ``output_dir/outbox``: the run's own folder also holds local paths, logs and half-done work."""

    args: TrainingArguments
    push_in_progress: PushInProgress | None

    def init_hf_repo(self, *args: Any, **kwargs: Any) -> None:
        """As the Trainer's.

        Raises:
            RunError: If the repository can be neither found nor made; nothing is trained.
        """
        try:
            super().init_hf_repo(*args, **kwargs)
        except Exception as error:  # a Hub, or a gateway before it, may answer anything
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            name = self.args.hub_model_id or Path(str(self.args.output_dir)).absolute().name
            remedy = "Check hub_model_id and the connection; log in with `hf auth login`; or set push_to_hub: false"
            raise RunError(Mistake("training.push_to_hub", f"cannot push to '{name}': {reason}", remedy)) from error

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As the Trainer's; training_args.bin, which is pushed too, keeps neither token nor place."""
        arguments = self.args
        self.args = shareable(arguments)
        try:
            super()._save(output_dir or str(arguments.output_dir), state_dict)
        finally:
            self.args = arguments

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """As the Trainer's."""
        output_dir = str(self.args.output_dir)
        outbox = Path(output_dir).absolute() / "outbox"
        self.args.output_dir = str(outbox / outbox.parent.name)  # a card without hub_model_id has the folder's name
        sent = None
        try:
            sent = super().push_to_hub(*args, **kwargs)
        finally:
            self.args.output_dir = output_dir
            if isinstance(sent, Future):
                sent.add_done_callback(lambda _: shutil.rmtree(outbox, ignore_errors=True))
            elif self.is_world_process_zero():
                shutil.rmtree(outbox, ignore_errors=True)
        return sent

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push a checkpoint's model, and the whole of it where ``hub_strategy`` says so, in the background."""
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        outbox = Path(str(self.args.output_dir)) / "outbox"
        if self.push_in_progress is None or self.push_in_progress.is_done():
            self._finish_current_push()
            shutil.rmtree(outbox, ignore_errors=True)
        elif not self.args.hub_always_push:
            return
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        folder = pack(Path(checkpoint_folder), outbox)
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

    def _finish_current_push(self) -> None:
        """As the Trainer's, and say what went wrong in the background."""
        super()._finish_current_push()
        running = getattr(self, "push_in_progress", None)
        for job in running.jobs if running is not None else []:
            if error := job.exception():
                logger.warning(f"A checkpoint was not pushed to {self.hub_model_id}: {error}")
        self.push_in_progress = None


def shareable(args: TrainingArguments) -> TrainingArguments:
    """The arguments without the token, and without where on this machine the run was."""
    shared = copy.copy(args)
    shared.hub_token = None
    shared.output_dir = Path(str(args.output_dir)).name
    return shared


def pack(checkpoint: Path, outbox: Path) -> Path:
    """Link a checkpoint's files into the outbox: it may be rotated away before they have been sent."""
    folder = outbox / checkpoint.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(checkpoint, folder, copy_function=_link)
    return folder


def forget_place(folder: Path) -> None:
    """Leave out of a packed checkpoint where the run's best checkpoint lies, and seal it again."""
    path = folder / "trainer_state.json"
    state = json.loads(path.read_text("utf-8")) | {"best_model_checkpoint": None}
    for linked in (path, folder / checkpoints.MANIFEST):
        linked.unlink()
    path.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", "utf-8")
    checkpoints.seal(folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
