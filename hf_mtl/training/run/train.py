"""A recipe becomes a run: trained, scored, and left in a folder that explains itself."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, RunError, UserError
from hf_mtl.progress import no_bars
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.output_place import refuse_copy, refuse_place
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.folder.run_lock import run_lock
from hf_mtl.training.interruption import Interruption, unclaimed
from hf_mtl.training.run.asked import Asked
from hf_mtl.training.run.baselines import check_baselines
from hf_mtl.training.run.finish import finish
from hf_mtl.training.run.finished import close, finished_results, say
from hf_mtl.training.run.kept_scores import scores_before
from hf_mtl.training.run.log_callbacks import (
    JsonLogCallback,
    LayoutCallback,
    RecipeCallback,
    TaskPrinterCallback,
    TaskProgressCallback,
)
from hf_mtl.training.run.longer import is_to_go_on
from hf_mtl.training.run.own_callbacks import own_callbacks
from hf_mtl.training.run.plan import redraw_mixture
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare
from hf_mtl.training.run.reports import outlive_reports
from hf_mtl.training.run.same_run import refuse_another_run, refuse_other_rows, refuse_other_steps
from hf_mtl.training.trainer.trainer import MultiTaskTrainer


def run_recipe(
    recipe: Recipe | str | Path,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = False,
    baselines: bool = False,
    allow_code: bool = False,
    on_results: Callable[[dict[str, Any]], None] = lambda results: None,
    callbacks: Sequence[TrainerCallback] = (),
    keep_rows: bool = False,
) -> dict[str, Any]:
    """Train a recipe and score the result.

    Once the results are kept, nothing can undo the run: a figure that cannot be drawn is a warning. What is left to
    do, to draw or to push, is done by the main process alone; ``resume`` does it later if it breaks off.

    Args:
        recipe: A recipe, or the path of one.
        overrides: ``key=value`` that replace keys of a recipe given by path.
        resume: Continue the run in the recipe's ``training.output_dir``; a finished one is left as it is, unless the
            recipe now lets it train on: more steps or epochs, more patience, a larger budget.
        overwrite: Start anew where a run is already.
        test: Score the test splits too.
        baselines: Score the majority class and TF-IDF with a linear model on the same rows, and what the
            recipe names under ``baselines``.
        allow_code: As for `load_recipe`.
        on_results: Takes the results on every process as soon as they are kept, before figures and the Hub.
        callbacks: Callbacks of the Trainer beside those of the recipe, which the run's folder knows nothing of.
        keep_rows: With ``test``: keep the test rows with what their scores read, in ``test_rows.safetensors``, so
            that two runs can be compared row by row.

    Returns:
        As in ``results.json``: ``{"tasks": {task: {metric: value}}, "average", "macro", "worst", ...}`` for
        validation, and ``"test"`` with the same when asked; ``"baselines"`` by name in both when asked; ``"notes"``,
        what a reader should know beside the numbers. ``"step"`` is that of the model that is kept and scored;
        ``"trained_steps"``, ``"planned_steps"`` and ``"ended_by"`` say how training ended.

    Raises:
        UserError: If the recipe, the data or the folder cannot be used; nothing is trained.
        DivergedError: If losses, weights or validation losses are not finite; checkpoints are kept.
        Interrupted: At Ctrl-C, a KeyboardInterrupt, and at SIGTERM `Terminated`, a SystemExit: after the step, of
            which there is a checkpoint. Not where the program has handlers of its own for them, nor in threads.
        DiskError: If a file of the run cannot be written; the last checkpoint is whole.
        NotPushedError: If everything is kept, but could not be pushed to the Hub; it has the results.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides, allow_code)
    elif allow_code:
        recipe = recipe.allowing_code()
    if keep_rows and not test:
        raise UserError(Mistake("keep_rows", "test rows are kept as they are scored", "Give test=True too"))
    asked = Asked(resume, overwrite, test, baselines, recipe.allow_code, on_results, callbacks, keep_rows)
    before = "before it went on; what it has is as it was" if resume else "before the first step; nothing was trained"
    with Interruption(before).taking(unclaimed(signal.SIGINT, signal.SIGTERM)) as interruption:
        return _run_alone(recipe, asked, interruption)


def _run_alone(recipe: Recipe, asked: Asked, interruption: Interruption) -> dict[str, Any]:
    """Train and score in a folder that no other run may use meanwhile."""
    args = make_arguments(recipe)
    folder = RunFolder(str(args.output_dir))
    if asked.resume or asked.overwrite:
        refuse_copy(recipe, folder)
    if asked.resume and not asked.overwrite and folder.is_finished:  # to read it needs no lock
        folder.goes_on = is_to_go_on(recipe, args, folder)
        if not folder.goes_on:
            with no_bars(args.disable_tqdm):
                return finished_results(recipe, args, folder, asked)
    folder.refuse_file()
    # Locked before anything is written, and before it is decided where the run goes on.
    with no_bars(args.disable_tqdm), run_lock(folder.path):
        folder.recover()
        folder.check(asked.resume, asked.overwrite)
        refuse_place(recipe, folder)
        if not (asked.resume and folder.is_finished):
            return _run(recipe, args, folder, asked, interruption)
    with no_bars(args.disable_tqdm):
        return finished_results(recipe, args, folder, asked)  # since it was looked at


def _run(
    recipe: Recipe,
    args: MultiTaskTrainingArguments,
    folder: RunFolder,
    asked: Asked,
    interruption: Interruption,
) -> dict[str, Any]:
    start = _checkpoint_to_resume(recipe, folder) if asked.resume else None
    prepared = prepare(recipe, args, tokenizer_folder=start)
    if start is not None:
        refuse_other_rows(recipe, folder, prepared.data)
    if asked.baselines:
        check_baselines(prepared)
    trainer = _trainer(prepared, folder, asked)
    folder.open(asked.resume, asked.overwrite)  # now that nothing can be wrong any more: it may move an old run aside
    trainer.interruption = interruption
    interruption.place = "after the last step, before its results were written"
    interruption.go_on = asked.how_to_go_on(folder)
    if start is not None:
        _say_where_it_goes_on(int(start.name.split("-")[1]), trainer.course.total_steps)
    with folder.or_as_before():
        redraw_mixture(folder, trainer)
        before = scores_before(trainer, prepared, asked.test)
        trainer.train(resume_from_checkpoint=str(start) if start else None)
        results = finish(trainer, prepared, folder, asked.test, asked.baselines, before, asked.keep_rows)
    interruption.place = "after its results were written"
    asked.on_results(results)
    close(folder, args, results, trainer)
    return results


def _trainer(prepared: Prepared, folder: RunFolder, asked: Asked) -> MultiTaskTrainer:
    """Return the Trainer of a run, which keeps its log and its recipe, once it is sure that every split can be
    used.
    """
    if asked.test and not prepared.split("test"):
        raise RunError(
            "--test: no task has a split 'test' to score, with rows that have a label; leave it out, name one in a "
            "task's dataset, or have one taken out of train with test_fraction"
        )
    model = prepared.new_model()
    prepared.check_rows("test", model, scored=asked.test)  # may be asked for when it is trained
    records = [JsonLogCallback(folder.log), RecipeCallback(folder, prepared.recipe.to_yaml(), prepared.data)]
    trainer = prepared.trainer(model, callbacks=[*records, *own_callbacks(prepared.recipe), *asked.callbacks])
    trainer.tells_notes = False
    trainer.waits_for_pushes = False  # not before the results are kept
    trainer.remove_callback(PrinterCallback if prepared.args.disable_tqdm else ProgressCallback)
    shows = TaskPrinterCallback if prepared.args.disable_tqdm else TaskProgressCallback
    trainer.add_callback(LayoutCallback(model))  # above the progress bar
    trainer.add_callback(shows(trainer.tasks))
    outlive_reports(trainer.callback_handler.callbacks)
    return trainer


def _say_where_it_goes_on(step: int, total: int) -> None:
    if step < total:
        say(f"Going on from step {step:,} of {total:,}.")
    elif step == total:
        say(f"All {total:,} steps are trained; scoring.")
    else:
        say(f"{step:,} steps are trained, more than the {total:,} that are asked for; scoring.")


def _checkpoint_to_resume(recipe: Recipe, folder: RunFolder) -> Path | None:
    """Return where a run goes on; None if it has to start from its beginning, which is said."""
    if not folder.exists:
        say(f"{folder.path} holds no run yet; starting it.")
        return None
    refuse_another_run(recipe, folder)
    start = checkpoints.newest_whole(folder.path)
    if start is None:
        say(f"{folder.path} has no whole checkpoint; the run starts from its beginning.")
    elif not (start / "optimizer.pt").exists():
        say(f"{start} has no optimizer (save_only_model): the run goes on, but not in the same bits.")
    if start is not None:
        refuse_other_steps(recipe, start, PartialState().num_processes)
    return start
