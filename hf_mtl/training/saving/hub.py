"""A Trainer that sends model, tokenizer and card to the Hub; no token, and nothing that only means something here."""

import copy
import shutil
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import upload_folder
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils.hub import PushInProgress

from hf_mtl.errors import Mistake, ModelError, RunError, one_line
from hf_mtl.inference import manifest
from hf_mtl.modeling import MultiTaskConfig
from hf_mtl.modeling.frozen_encoder import push_mistakes
from hf_mtl.modeling.tokenizer_files import without_state
from hf_mtl.progress import as_disable_tqdm_says
from hf_mtl.reporting.card import CardFacts, model_card
from hf_mtl.shown import get_logger
from hf_mtl.training.saving.outbox import (
    ONLY_TO_TRAIN,
    OUTBOX,
    REMEDY,
    await_push,
    forget_place,
    pack,
    remove,
    repo_name,
)
from hf_mtl.training.saving.upload import LOG_IN, Destination, refused, upload

logger = get_logger(__name__)


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
        self._refuse_to_push()
        try:
            super().init_hf_repo(*args, **kwargs)
        except Exception as error:  # a wrong name, no connection, or whatever a server or a proxy may answer
            found = f"cannot push to '{repo_name(self.args)}': {one_line(error)}"
            no_right = isinstance(refused(error, ""), RunError)
            remedy = f"{LOG_IN if no_right else REMEDY}; or set push_to_hub: false"
            raise RunError(Mistake("training.push_to_hub", found, remedy)) from error

    def _refuse_to_push(self) -> None:
        """Refuse a model that others could not load.

        Raises:
            ModelError: If its files hold the heads alone, and the encoder is a folder of this machine.
        """
        config = getattr(getattr(self, "model", None), "config", None)
        if isinstance(config, MultiTaskConfig) and (mistakes := list(push_mistakes(config))):
            raise ModelError(mistakes)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save as the Trainer does, without what is only of here and now.

        training_args.bin, which is pushed too, keeps neither token nor place, and the tokenizer nothing of its last
        call.
        """
        arguments = self.args
        self.args = shareable(arguments)
        try:
            with without_state(self.processing_class):
                super()._save(output_dir or str(arguments.output_dir), state_dict)
        finally:
            self.args = arguments

    @as_disable_tqdm_says
    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **card: Any,
    ) -> Any:
        """Push model, tokenizer and card in one commit, from a folder of their own; as the Trainer otherwise.

        Args:
            commit_message: The commit's title.
            blocking: Wait for the end; otherwise a future is returned.
            token: A token; None: ``args.hub_token``, or that of the machine.
            revision: A branch, made if it is not there; None: ``args.hub_revision``.
            private: Whether a new repository is private; None: ``args.hub_private_repo``.
            card: As for `create_model_card`.

        Raises:
            UserError: If the token is refused.
            NotPushedError: If the Hub, or the way to it, fails; the same call again goes on.
        """
        self._refuse_to_push()
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        outbox = Path(str(self.args.output_dir)).absolute() / OUTBOX
        folder = outbox / "model"
        shutil.rmtree(folder, ignore_errors=True)
        sent: Any = None
        try:
            self.save_model(str(folder), _internal_call=True)
            if self.is_world_process_zero():
                manifest.seal(folder)
                private = self.args.hub_private_repo if private is None else private
                to = Destination(
                    repo_name(self.args), token or self.args.hub_token, private, revision or self.args.hub_revision
                )
                to = replace(to, repo=to.make())
                self._write_card(folder, to.repo, **card)
                self._finish_current_push()
                files: dict[str, Path | bytes] = {
                    path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
                }
                sent = upload(files, to, str(commit_message), blocking)
        finally:
            if isinstance(sent, Future):
                sent.add_done_callback(lambda _: remove(outbox))
            elif self.is_world_process_zero():
                remove(outbox)
        return sent

    def card_facts(self, name: str) -> CardFacts:
        """Return what the card of the model says.

        Args:
            name: The repository.
        """
        raise NotImplementedError

    def create_model_card(self, model_name: str | None = None, **card: Any) -> None:
        """Write the card of the model as it is now into ``output_dir``, as ``README.md``.

        Args:
            model_name: The repository, ``owner/name``; None: ``hub_model_id``, or the folder's name.
            card: ``language``, ``license``, ``tags``, ``base_model`` and ``datasets``, which the card cannot know.
        """
        if self.is_world_process_zero():
            self._write_card(Path(str(self.args.output_dir)), model_name or repo_name(self.args), **card)

    def _write_card(self, folder: Path, name: str, **card: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        facts = replace(self.card_facts(name), **CardFacts.given(card))
        (folder / "README.md").write_text(model_card(facts), "utf-8")

    def await_push(self) -> None:
        """Note that the final model, which lies in ``output_dir`` with all that its card says, is to be pushed."""
        if self.is_world_process_zero():
            self.callback_handler.on_push_begin(self.args, self.state, self.control)
            await_push(Path(str(self.args.output_dir)))

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
        # A manifest there would be that of an older model.
        others = {"ignore_patterns": [*ONLY_TO_TRAIN, manifest.MANIFEST], "delete_patterns": [manifest.MANIFEST]}
        jobs = [self._upload(folder, message, **others)]
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
