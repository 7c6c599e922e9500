"""A trained checkpoint is scored again, on any split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hf_mtl.data.columns import name_count
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.text_keys import Keys
from hf_mtl.errors import UserError, is_or_are
from hf_mtl.evaluation import Trust
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.progress import no_bars
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.folder.run_data import RunData
from hf_mtl.training.run.baselines import add_baselines, check_baselines
from hf_mtl.training.run.opened_run import opened_run
from hf_mtl.training.run.prepare import Prepared, note_unscored
from hf_mtl.training.scoring.kept_rows import Listener
from hf_mtl.training.trainer.scoring_overrides import scoring_tasks
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

logger = get_logger(__name__)


def evaluate_run(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    split: str = "validation",
    baselines: bool = False,
    allow_code: bool = False,
    through: Callable[[MultiTaskModel], Callable[..., MultiTaskOutput]] | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Score a checkpoint on the data of its run's recipe.

    Args:
        path: A run's folder, one of its checkpoints, a Hub id (``owner/name`` or ``owner/name@revision``) of a model
            that was pushed with its recipe, or a recipe whose run is in its ``training.output_dir``.
        overrides: ``key=value`` that replace keys of the recipe, such as other data or metrics. A key that means
            nothing to a trained model is refused.
        split: ``train``, ``validation`` or ``test``.
        baselines: Score the majority class and TF-IDF with a linear model on the same rows too, and what
            the recipe names under ``baselines``.
        allow_code: Whether code that the run's recipe names may be run: the run may be anybody's. Without it, metrics
            that `evaluate` publishes are loaded where an override names them, and no others but ours.
        through: Makes of the model what answers batches in place of its own forward, such as an exported graph.
        listener: Takes what is scored of one task after another, on the first process.

    Returns:
        ``{"tasks", "average", "macro", "worst", "loss", "notes", "split"}``, and ``"baselines"`` by name when asked.

    Raises:
        UserError: If there is no checkpoint, it is damaged, there is no such split, or an override means nothing.
    """
    run = run_to_score(path, overrides, splits=(split,), baselines=baselines, allow_code=allow_code, through=through)
    return run.score(split, baselines, listener)


@dataclass(frozen=True)
class RunToScore:
    """A trained model beside the data of its run, to be scored as often as one likes.

    Args:
        prepared: The data, as its recipe has them now.
        trainer: The Trainer that scores it.
    """

    prepared: Prepared
    trainer: MultiTaskTrainer

    def score(self, split: str, baselines: bool = False, listener: Listener | None = None) -> dict[str, Any]:
        """Score one split.

        Args:
            split: One of those that the run was opened for.
            baselines: As for `evaluate_run`.
            listener: As for `evaluate_run`.
        """
        with no_bars(self.prepared.args.disable_tqdm):
            return _scored(self.trainer, self.prepared, split, baselines, listener)


def run_to_score(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    splits: Sequence[str],
    baselines: bool = False,
    allow_code: bool = False,
    through: Callable[[MultiTaskModel], Callable[..., MultiTaskOutput]] | None = None,
) -> RunToScore:
    """Load a checkpoint and the data of its run's recipe, once for any number of scores.

    Args:
        path: As for `evaluate_run`.
        overrides: As for `evaluate_run`.
        splits: What is to be scored.
        baselines: Whether the baselines are to be scored too.
        allow_code: As for `evaluate_run`.
        through: As for `evaluate_run`.

    Raises:
        UserError: If there is no checkpoint, it is damaged, no task has one of the splits, or an override means
            nothing.
    """
    with opened_run(path, overrides, allow_code, through) as opened:
        prepared, model = opened.prepared, opened.model
        for split in splits:
            if not prepared.split(split):
                raise UserError(f"{opened.recipe_path}: no task has a split '{split}' with rows that have a label")
            _say_other_rows(RunData(opened.recipe_path.parent), prepared.data, split, baselines)
        if baselines:
            check_baselines(prepared)
        trainer = prepared.trainer(model, to_train=False)
        trainer.score_as(scoring_tasks(opened.run, opened.recipe, model.tasks), Trust.of(allow_code))
        _say_untuned(trainer.tasks)
        return RunToScore(prepared, trainer)


def _say_untuned(tasks: Mapping[str, Task]) -> None:
    """Say what a checkpoint from before the end of training has not yet."""
    for name, task in tasks.items():
        if task.tuned_by is not None and is_main_process():
            logger.warning(
                f"{name}: {task.tuned_by} {is_or_are(task.tuned_by)} not tuned yet, as this model is from before the "
                "end of training."
            )


def _scored(
    trainer: MultiTaskTrainer, prepared: Prepared, split: str, baselines: bool, listener: Listener | None
) -> dict[str, Any]:
    """Score one split, and the baselines on the same rows when asked."""
    rows = prepared.split(split)
    trainer.tells_notes = False
    # Rows to train on would be cut where rows to score are read in windows.
    scores = trainer.score(rows, "test" if split == "train" else split, listener)
    results = {**scores.to_dict(), "split": split}
    note_unscored(results, prepared, split)
    if baselines:
        add_baselines(results, prepared, rows)
    return results


def _say_other_rows(then: RunData, data: Mapping[str, LoadedTask], split: str, baselines: bool) -> None:
    """Say for which tasks the rows are not those of the run, and how many of the scored ones it has trained on."""
    if not is_main_process():
        return
    if not then.exists:
        carved = ", ".join(name for name, item in data.items() if item.carved)
        note = "The run kept no record of its rows (data.json): whether the data changed cannot be said."
        if carved:
            note += (
                f" A version that kept none took other rows out of train: it may have trained on those of {carved}."
            )
        logger.warning(note)
        return
    # Baselines are fitted on today's training rows.
    splits = dict.fromkeys([split, "train"] if baselines else [split])
    changes = {(name, part): difference for name, part, difference in then.changes(data, splits)}
    for name, part in product(data, splits):
        said = []
        if (name, part) in changes:
            said.append(f"the {part} rows are not those of the run: {changes[name, part]}.")
        if part != "train" and part in data[name].keys and then.knows_texts:
            said += _trained_texts(then, data[name].keys[part].rows, part, always=bool(said))
        if said:
            logger.warning(f"{name}: {' '.join(said)}")


def _trained_texts(then: RunData, keys: Keys, split: str, always: bool) -> list[str]:
    """Tell how many of the scored texts the run was trained on; nothing, unless always, where it is none."""
    trained = then.trained(keys)
    if not trained and not always:
        return []
    return [f"The run was trained on {trained:,} of the {name_count(len(keys), f'{split} text')} scored."]
