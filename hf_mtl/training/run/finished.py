"""A run whose results are kept: they are given back, and the work that follows them is done where it is missing."""

import shlex
from typing import Any

from transformers import TrainingArguments

from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import RunError
from hf_mtl.recipe import Recipe
from hf_mtl.shown import get_logger
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.folder.run_lock import run_lock
from hf_mtl.training.run.asked import Asked
from hf_mtl.training.run.closing import draw, is_open, is_unsent, push
from hf_mtl.training.run.same_run import ignored_keys, refuse_another_run
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

logger = get_logger(__name__)


def finished_results(recipe: Recipe, args: TrainingArguments, folder: RunFolder, asked: Asked) -> dict[str, Any]:
    """Return the results of a run that has ended, as they are; what it was kept from doing after them is done now.

    Args:
        recipe: The recipe that was asked for.
        args: Its training arguments.
        folder: The run's folder.
        asked: The wishes for the run.

    Raises:
        RunError: If the run is of another recipe, or its model cannot be sent from a folder that others use.
    """
    results = _kept_results(recipe, folder, asked)
    asked.on_results(results)
    if is_open(folder, args):
        try:
            with run_lock(folder.path):
                if is_main_process():
                    folder.settle()
                close(folder, args, results)
        except RunError as error:  # such as a folder that may only be read
            if is_unsent(folder, args):
                raise
            say(f"Its figures were not drawn: {error}")
    return results


def _kept_results(recipe: Recipe, folder: RunFolder, asked: Asked) -> dict[str, Any]:
    """Return the results of a run of the same recipe, up to how long to train."""
    refuse_another_run(recipe, folder)
    say(f"{folder.path} is finished; nothing to resume.")
    if changed := ignored_keys(recipe, folder):
        say(f"It was trained with other values of {', '.join(changed)}; they stay as they were.")
    results, again = folder.results(), shlex.join(["hf-mtl", "evaluate", str(folder.path)])
    if asked.test and "test" not in results:
        say(f"Its test splits were not scored. Score them: {again} --split test")
    if asked.baselines and "baselines" not in results:
        say(f"Its baselines were not scored. Score them: {again} --baselines")
    return results


def close(
    folder: RunFolder, args: TrainingArguments, results: dict[str, Any], trainer: MultiTaskTrainer | None = None
) -> None:
    """Draw and push what a run has kept, on the main process.

    The other processes do not wait: a push may take longer than they would.

    Args:
        folder: The run's folder.
        args: The training arguments.
        results: Its results.
        trainer: Its Trainer; None: only what is still missing is done.
    """
    if not is_main_process():
        return
    draw(folder, only_missing=trainer is None, kept=results.get("step"))
    if trainer is not None:
        trainer.finish_pushes()  # after the model itself, they would put an older one in its place
    push(folder, args, results)


def say(text: str) -> None:
    """Warn on the main process, once for all of them.

    Args:
        text: The warning.
    """
    if is_main_process():
        logger.warning(text)
