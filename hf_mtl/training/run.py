"""A recipe becomes a run: trained, scored, and left in a folder that explains itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback

from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import RunError
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.shown import get_logger
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.baselines import check_baselines
from hf_mtl.training.callbacks import JsonLogCallback, RecipeCallback, TaskPrinterCallback, TaskProgressCallback
from hf_mtl.training.finish import finish
from hf_mtl.training.prepare import Prepared, make_arguments, prepare
from hf_mtl.training.run_folder import RunFolder
from hf_mtl.training.same_run import changed_training, refuse_another_run, refuse_other_rows
from hf_mtl.training.trainer import MultiTaskTrainer

logger = get_logger(__name__)


def run_recipe(
    recipe: Recipe | str | Path,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = False,
    baselines: bool = False,
    allow_code: bool = False,
) -> dict[str, Any]:
    """Train a recipe and score the result.

    Args:
        recipe: A recipe, or the path of one.
        overrides: ``key=value`` that replace keys of a recipe given by path.
        resume: Continue the run in the recipe's ``training.output_dir``; a finished one is left as it is.
        overwrite: Start anew where a run is already.
        test: Score the test splits too.
        baselines: Score the majority class and TF-IDF with a linear model on the same rows.
        allow_code: As for `load_recipe`.

    Returns:
        As in ``results.json``: ``{"tasks": {task: {metric: value}}, "average", "macro", "worst", ...}`` for
        validation, and ``"test"`` with the same when asked; ``"baselines"`` by name in both when asked; ``"notes"``,
        what a reader should know beside the numbers. ``"step"`` is that of the model that is kept and scored;
        ``"trained_steps"``, ``"planned_steps"`` and ``"ended_by"`` say how training ended.

    Raises:
        UserError: If the recipe, the data or the folder cannot be used; nothing is trained.
        DivergedError: If losses, weights or validation losses are not finite; checkpoints are kept.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides, allow_code)
    elif allow_code:
        recipe = recipe.allowing_code()
    args = make_arguments(recipe)
    folder = RunFolder(str(args.output_dir))
    folder.check(resume, overwrite)
    if resume and folder.is_finished:
        return _finished(recipe, folder, test, baselines)
    start = _checkpoint_to_resume(recipe, folder) if resume else None
    prepared = prepare(recipe, args, tokenizer_folder=start)
    if start is not None:
        refuse_other_rows(recipe, folder, prepared.data)
    if baselines:
        check_baselines(prepared)
    trainer = _trainer(prepared, folder, test)
    folder.open(resume, overwrite)  # now that nothing can be wrong any more: it may clear an old run away
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    return finish(trainer, prepared, folder, test, baselines)


def _trainer(prepared: Prepared, folder: RunFolder, test: bool) -> MultiTaskTrainer:
    """The Trainer of a run, which keeps its log and its recipe, once it is sure that every split can be used."""
    if test and not prepared.split("test"):
        raise RunError(
            "--test: no task has a split 'test' to score, with rows that have a label; leave it out, or name one in "
            "a task's dataset"
        )
    model = prepared.new_model()
    if test:
        prepared.check_rows("test", model)
    records = [JsonLogCallback(folder.log), RecipeCallback(folder, prepared.recipe.to_yaml(), prepared.data)]
    trainer = prepared.trainer(model, callbacks=records)
    trainer.tells_notes = False
    trainer.remove_callback(PrinterCallback if prepared.args.disable_tqdm else ProgressCallback)
    trainer.add_callback(TaskPrinterCallback if prepared.args.disable_tqdm else TaskProgressCallback)
    return trainer


def _finished(recipe: Recipe, folder: RunFolder, test: bool, baselines: bool) -> dict[str, Any]:
    """The results of a run that has ended, as they are; of the same recipe, up to how long to train."""
    refuse_another_run(recipe, folder)
    _say(f"{folder.path} is finished; nothing to resume.")
    if changed := changed_training(recipe, folder):
        _say(f"It was trained with other values of {', '.join(changed)}; they stay as they were.")
    results, again = folder.results(), f"hf-mtl evaluate {folder.path}"
    if test and "test" not in results:
        _say(f"Its test splits were not scored. Score them: {again} --split test")
    if baselines and "baselines" not in results:
        _say(f"Its baselines were not scored. Score them: {again} --baselines")
    return results


def _say(text: str) -> None:
    """Warn, once for all processes."""
    if is_main_process():
        logger.warning(text)


def _checkpoint_to_resume(recipe: Recipe, folder: RunFolder) -> Path | None:
    """Where a run goes on; None if it has to start from its beginning, which is said."""
    if not folder.exists:
        _say(f"{folder.path} holds no run yet; starting it.")
        return None
    refuse_another_run(recipe, folder)
    start = checkpoints.newest_whole(folder.path)
    if start is None:
        _say(f"{folder.path} has no whole checkpoint; the run starts from its beginning.")
    elif not (start / "optimizer.pt").exists():
        _say(f"{start} has no optimizer (save_only_model): the run goes on, but not in the same bits.")
    return start
