"""A signal stops a run at the end of a step, with a checkpoint from which it goes on to the same bits."""

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler

from hf_mtl import MultiTaskTrainer
from hf_mtl.cli.main import main
from hf_mtl.errors import Interrupted, Stopped, Terminated
from hf_mtl.inference import manifest
from hf_mtl.training import checkpoint
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.folder.run_record import RunRecord
from hf_mtl.training.run import train as run
from hf_mtl.training.saving.hub import HubTrainer
from hf_mtl.training.trainer.step_callback import StepCallback
from tests.training import runs
from tests.training.test_resume import assert_same_bits
from tests.training.trainers import make, parameters, records, same

Patch = pytest.MonkeyPatch

# Records every 3 steps and evaluations every 5: neither falls on the steps at which these runs are stopped.
STEPS = {"logging_steps": 3, "early_stopping_patience": 2, "load_best_model_at_end": True, "save_total_limit": None}
# An epoch has 12 steps of 32 rows.
EPOCHS = {
    **{"per_device_train_batch_size": 32, "max_steps": 26, "early_stopping_patience": 4},
    **{f"{name}_strategy": "epoch" for name in ("logging", "eval", "save")},
    **{"load_best_model_at_end": True, "save_total_limit": None},
}


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two recipes, and their runs that nothing has stopped."""
    folder = tmp_path_factory.mktemp("references")
    with runs.own_cache(folder):
        for name, options in (("steps", STEPS), ("epochs", EPOCHS)):
            runs.train(runs.write_recipe(folder / name, **options), folder / name / "run")
        yield folder


def at(patch: Patch, place: Any, name: str, when: Callable[[Any], bool] = lambda first: True, sent: int = 15) -> None:
    """Send a signal when a function is called, once, before it begins."""
    function, done = getattr(place, name), []

    def sending(*args: Any, **kwargs: Any) -> Any:
        if not done and when(args[0]):
            done.append(1)
            os.kill(os.getpid(), sent)
        return function(*args, **kwargs)

    patch.setattr(place, name, sending)


def stop(recipe: Path, output: Path, **wishes: bool) -> Stopped:
    with pytest.raises(Stopped) as caught:
        runs.train(recipe, output, **wishes)
    return caught.value


def evaluating(patch: Patch, step: int) -> None:
    """In the middle of the evaluation after a step."""
    handler = CallbackHandler.on_prediction_step

    def sending(self: Any, args: Any, state: Any, control: Any) -> Any:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return handler(self, args, state, control)

    patch.setattr(CallbackHandler, "on_prediction_step", sending)


def in_step(step: int) -> Callable[[Patch], None]:
    return lambda patch: at(
        patch, MultiTaskTrainer, "training_step", lambda trainer: trainer.state.global_step == step - 1
    )


def summed(step: int) -> Callable[[Patch], None]:
    """When the losses of a step are summed, of steps of one micro-batch."""
    return lambda patch: at(
        patch, StepCallback, "after_backward", lambda parts: parts.budget.backward_passes == step - 1
    )


# How the signal is sent, in which of the two runs, and after which step that stops.
MOMENTS: dict[str, tuple[Callable[[Patch], None], str, int]] = {
    "in the first step": (in_step(1), "steps", 1),
    "in a step": (in_step(7), "steps", 7),
    "when the losses of a step are summed": (summed(7), "steps", 8),
    "in a step that is evaluated": (in_step(5), "steps", 5),
    "in an evaluation": (lambda patch: evaluating(patch, 5), "steps", 5),
    "in a save": (lambda patch: at(patch, manifest, "seal"), "steps", 6),
    "in the last step of an epoch": (in_step(12), "epochs", 12),
    "in the evaluation of an epoch": (lambda patch: evaluating(patch, 12), "epochs", 12),
    "within an epoch": (in_step(14), "epochs", 14),
}


def some_slow(moments: Iterable[str], fast: Collection[str]) -> list[Any]:
    return [moment if moment in fast else pytest.param(moment, marks=pytest.mark.slow) for moment in moments]


@pytest.mark.parametrize(
    "moment", some_slow(MOMENTS, fast=("in a step", "in an evaluation", "in the evaluation of an epoch"))
)
def test_a_signal_stops_at_a_steps_end_and_the_run_goes_on_to_the_same_bits(
    references: Path, tmp_path: Path, monkeypatch: Patch, moment: str
) -> None:
    send, kind, step = MOMENTS[moment]
    recipe, run_folder = references / kind / "recipe.yaml", tmp_path / "run"
    with monkeypatch.context() as patch:
        send(patch)
        stopped = stop(recipe, run_folder)
    assert isinstance(stopped, Terminated)
    assert checkpoint.newest_whole(run_folder) == run_folder / f"checkpoint-{step}"
    total = {"steps": 10, "epochs": 26}[kind]
    assert str(stopped) == (
        f"Stopped by SIGTERM after step {step} of {total}; the checkpoint is {run_folder}/checkpoint-{step}. "
        f"Go on with: hf-mtl train {run_folder}/recipe.yaml --resume"
    )
    assert not RunFolder(run_folder).is_finished
    assert not (run_folder / "model.safetensors").exists()
    runs.train(recipe, run_folder, resume=True)
    assert_same_bits(run_folder, references / kind / "run")


@pytest.mark.slow
def test_a_scheduled_checkpoint_says_that_its_epoch_is_still_to_end(references: Path, tmp_path: Path) -> None:
    """Killed between a checkpoint after so many steps and the evaluation after an epoch, here of the same step."""
    recipe, options = (
        references / "epochs" / "recipe.yaml",
        ("training.save_strategy=steps", "training.save_steps=12"),
    )
    options = (*options, "training.load_best_model_at_end=false")
    runs.train(recipe, tmp_path / "reference", *options)
    shutil.copytree(tmp_path / "reference", tmp_path / "run")
    for name in ("results.json", "checkpoint-24", "checkpoint-26"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    log = tmp_path / "run" / "log.jsonl"
    log.write_text("".join(line for line in log.open() if json.loads(line)["step"] < 12))
    RunRecord(tmp_path / "run").begin()  # the log is not complete
    runs.train(recipe, tmp_path / "run", *options, resume=True)
    assert_same_bits(tmp_path / "run", tmp_path / "reference")


@pytest.mark.parametrize(
    ("sent", "kind", "also", "code"), [(2, Interrupted, KeyboardInterrupt, 130), (15, Terminated, SystemExit, 143)]
)
def test_each_signal_has_its_exception_and_its_exit_code(
    recipe: Path, tmp_path: Path, monkeypatch: Patch, sent: int, kind: type[Stopped], also: type, code: int
) -> None:
    at(monkeypatch, MultiTaskTrainer, "training_step", sent=sent)
    assert main(["train", str(recipe), f"training.output_dir={tmp_path}/run"]) == code
    at(monkeypatch, MultiTaskTrainer, "training_step", sent=sent)
    stopped = stop(recipe, tmp_path / "run", resume=True)
    assert type(stopped) is kind
    assert isinstance(stopped, also)
    assert not isinstance(stopped, Exception)  # a loop over recipes that goes on after one ends too
    assert stopped.exit_code == code
    assert "after step 2 of 10" in str(stopped)


def test_before_training_a_signal_ends_the_run_at_once(recipe: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    at(monkeypatch, run, "prepare")
    assert str(stop(recipe, tmp_path / "run")) == "Stopped by SIGTERM before the first step; nothing was trained."
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_that_has_not_gone_on_is_as_it_was(recipe: Path, unfinished: Path, monkeypatch: Patch) -> None:
    before = runs.content(unfinished)
    at(monkeypatch, run, "prepare")
    assert "before it went on; what it has is as it was" in str(stop(recipe, unfinished, resume=True))
    assert runs.content(unfinished) == before


FINISHING: dict[str, Callable[[Patch], None]] = {
    "in the last step": in_step(10),
    "when the losses of the last step are summed": summed(10),
    "in the last evaluation within training": lambda patch: evaluating(patch, 10),
    "before the scores": lambda patch: at(patch, run, "finish"),
    "in the publishing": lambda patch: at(patch, RunFolder, "publish_model"),
    "before the results": lambda patch: at(patch, RunFolder, "write_results"),
}


@pytest.mark.parametrize("moment", some_slow(FINISHING, fast=("in the last step", "in the publishing")))
def test_after_the_last_step_a_run_is_finished_by_the_one_that_resumes_it(
    references: Path, tmp_path: Path, monkeypatch: Patch, moment: str
) -> None:
    recipe, folder = references / "steps" / "recipe.yaml", tmp_path / "run"
    with monkeypatch.context() as patch:
        FINISHING[moment](patch)
        stopped = stop(recipe, folder)
    assert str(stopped).startswith(
        "Stopped by SIGTERM after the last step, before its results were written. Go on with:"
    )
    assert not RunFolder(folder).is_finished
    runs.train(recipe, folder, resume=True)
    assert_same_bits(folder, references / "steps" / "run")


@pytest.mark.parametrize("step", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_that_keeps_no_checkpoints_writes_one_at_a_signal(
    recipe: Path, world: Path, tmp_path: Path, monkeypatch: Patch, step: int
) -> None:
    in_step(step)(monkeypatch)
    options = ["training.save_strategy='no'"]
    with pytest.raises(Terminated):
        runs.train(recipe, tmp_path / "run", *options)
    assert checkpoint.newest_whole(tmp_path / "run") == tmp_path / "run" / f"checkpoint-{step}"
    runs.train(recipe, tmp_path / "run", *options, resume=True)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (world / "run/model.safetensors").read_bytes()


def test_the_way_to_go_on_has_the_same_wishes(recipe: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    in_step(1)(monkeypatch)
    stopped = stop(recipe, tmp_path / "a run", baselines=True)
    assert str(stopped).endswith(f"Go on with: hf-mtl train '{tmp_path}/a run/recipe.yaml' --resume --baselines")


def test_a_resume_says_where_it_goes_on(finished: Path, recipe: Path, warnings: list[str]) -> None:
    (finished / "results.json").unlink()
    runs.train(recipe, finished, resume=True)
    (finished / "results.json").unlink()
    shutil.rmtree(finished / "checkpoint-10")
    runs.train(recipe, finished, resume=True)
    assert warnings == ["All 10 steps are trained; scoring.", "Going on from step 5 of 10."]


def test_a_stop_pushes_nothing(tmp_path: Path, monkeypatch: Patch) -> None:
    pushed: list[str] = []
    monkeypatch.setattr(HubTrainer, "_push_from_checkpoint", lambda trainer, folder: pushed.append(folder))
    trainer = make(tmp_path)
    trainer._push_from_checkpoint("checkpoint-1")
    trainer.interruption.agreed = True
    trainer._push_from_checkpoint("checkpoint-2")
    assert pushed == ["checkpoint-1"]


class Sending(TrainerCallback):
    """Sends SIGTERM in a step, once."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step + 1 == self.step:
            self.step = 0
            os.kill(os.getpid(), signal.SIGTERM)


def test_enable_jit_checkpoint_saves_at_a_steps_end_in_python(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 4, "logging_steps": 4, "enable_jit_checkpoint": True}
    reference = make(tmp_path / "reference", **options)
    reference.train()
    before = signal.getsignal(signal.SIGTERM)
    stopped = make(tmp_path / "run", callbacks=[Sending(2)], **options)
    with pytest.raises(Terminated, match=r"after step 2 of 4; .* Go on with trainer.train\(resume_from"):
        stopped.train()
    assert signal.getsignal(signal.SIGTERM) == before
    assert not stopped.is_in_train
    assert stopped.ending is None
    resumed = make(tmp_path / "run", **options)
    resumed.train(resume_from_checkpoint=True)
    assert same(parameters(resumed), parameters(reference))
    assert records(resumed, "loss") == records(reference, "loss")
    assert records(resumed, "loss/topic") == records(reference, "loss/topic")
    stopped.train()  # another training of the same Trainer has nothing left of the signal
    assert stopped.state.global_step == 4


def test_schedules_hear_the_evaluation_that_was_put_off(tmp_path: Path) -> None:
    leaves = {"type": "mt2st_feedback", "main": "topic", "action": "switch", "patience": 1, "min_delta": 0.9}
    options: dict[str, Any] = {
        "max_steps": 6,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "enable_jit_checkpoint": True,
    }
    options["window_steps"] = 1
    reference = make(tmp_path / "reference", schedules=[leaves], **options)
    reference.train()
    assert records(reference, "share/topic")[-1] == 1.0
    with pytest.raises(Terminated):
        make(tmp_path / "run", schedules=[leaves], callbacks=[Sending(4)], **options).train()
    resumed = make(tmp_path / "run", schedules=[leaves], **options)
    resumed.train(resume_from_checkpoint=True)
    assert records(resumed, "share/topic") == records(reference, "share/topic")
    assert same(parameters(resumed), parameters(reference))


def test_a_checkpoint_that_only_a_signal_had_written_is_no_candidate_for_the_best_model(tmp_path: Path) -> None:
    """An uninterrupted run would not have it."""
    options: dict[str, Any] = {
        "max_steps": 6,
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "enable_jit_checkpoint": True,
        "save_strategy": "steps",
        "save_steps": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
    }
    with pytest.raises(Terminated):
        make(tmp_path, callbacks=[Sending(1)], **options).train()
    assert checkpoint.newest_whole(tmp_path) == tmp_path / "checkpoint-1"
    resumed = make(tmp_path, **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.best_global_step == 1
    assert resumed.ending is not None
    assert resumed.ending.step == 6


def test_workers_end_with_a_run_that_a_signal_ends(tmp_path: Path) -> None:
    options: dict[str, Any] = {"dataloader_num_workers": 1, "enable_jit_checkpoint": True}
    with pytest.raises(Terminated):
        make(tmp_path, callbacks=[Sending(2)], **options).train()
    assert not multiprocessing.active_children()


def test_without_it_the_signals_of_a_python_program_are_its_own(tmp_path: Path) -> None:
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: found.append(number))
    try:
        trainer = make(tmp_path, callbacks=[Sending(2)])
        trainer.train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found == [signal.SIGTERM]
    assert trainer.state.global_step == 4
