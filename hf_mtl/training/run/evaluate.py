"""A trained checkpoint is scored again, on any split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hf_mtl.data.columns import name_count
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.stratified_carving import carved_beside
from hf_mtl.data.text_keys import Keys
from hf_mtl.errors import RunError, UserError, is_or_are
from hf_mtl.evaluation import Trust, foreign_mistakes
from hf_mtl.inference.runs import find_checkpoint, load_model, local_folder
from hf_mtl.launched import of_whoever_trains
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.progress import no_bars
from hf_mtl.recipe import Recipe, load_recipe, read_recipe
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.folder.run_data import RunData
from hf_mtl.training.run.baselines import add_baselines, check_baselines
from hf_mtl.training.run.prepare import Prepared, load_data, make_arguments, note_unscored
from hf_mtl.training.run.taken import with_known_outputs
from hf_mtl.training.scoring.kept_rows import Listener
from hf_mtl.training.trainer.scoring_overrides import check_overrides, scoring_tasks
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

logger = get_logger(__name__)

_ONLY_SCORING: dict[str, Any] = {
    "report_to": "none",
    "push_to_hub": False,
    "eval_strategy": "no",
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "early_stopping_patience": None,
    "early_stopping_threshold": 0.0,
    # The machine may lack the optimizer's library, and a schedule may follow evaluations.
    "optim": "adamw_torch",
    "optim_args": None,
    "optim_target_modules": None,
    "lr_scheduler_type": "linear",
    "lr_scheduler_kwargs": None,
}


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
        baselines: Score the majority class and TF-IDF with a linear model on the same rows too.
        allow_code: Whether code that the run's recipe names may be run: the run may be anybody's. Without it, metrics
            that `evaluate` publishes are loaded where an override names them, and no others but ours.
        through: Makes of the model what answers batches in place of its own forward, such as an exported graph.
        listener: Takes what is scored of one task after another, on the first process.

    Returns:
        ``{"tasks", "average", "macro", "worst", "loss", "notes", "split"}``, and ``"baselines"`` by name when asked.

    Raises:
        UserError: If there is no checkpoint, it is damaged, there is no such split, or an override means nothing.
    """

    def change(model: MultiTaskModel) -> None:
        if through is not None:
            model.forward = through(model)  # type: ignore[method-assign]

    run = open_run(path, overrides, splits=(split,), baselines=baselines, allow_code=allow_code, change=change)
    return run.score(split, baselines, listener)


@dataclass(frozen=True)
class OpenRun:
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


def open_run(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    splits: Sequence[str],
    baselines: bool = False,
    allow_code: bool = False,
    change: Callable[[MultiTaskModel], None] = lambda model: None,
) -> OpenRun:
    """Load a checkpoint and the data of its run's recipe, once for any number of scores.

    Args:
        path: As for `evaluate_run`.
        overrides: As for `evaluate_run`.
        splits: What is to be scored.
        baselines: Whether the baselines are to be scored too.
        allow_code: As for `evaluate_run`.
        change: Changes the model before anything else is made of it.

    Raises:
        UserError: If there is no checkpoint, it is damaged, no task has one of the splits, or an override means
            nothing.
    """
    recipe_path, model_path = find_checkpoint(_folder(Path(path), overrides, allow_code))
    recipe = load_recipe(recipe_path, overrides, allow_code, to_score=True)
    run = read_recipe(recipe_path)  # behind the plugins, of which it names components
    _refuse_code(run, recipe)
    # Nothing of training happens: no folder of it is made, and nothing is watched.
    args = make_arguments(recipe, output_dir=str(model_path), **_ONLY_SCORING, **of_whoever_trains())
    with no_bars(args.disable_tqdm):
        model = load_model(model_path)
        change(model)
        check_overrides(run, recipe, model.tasks, to_find=Path(path).is_file())
        if recipe.model.max_length != run.model.max_length:
            model.config.max_length = recipe.model.max_length
        seed = args.data_seed if args.data_seed is not None else args.seed
        _refuse_kept_code(run, recipe, model.tasks)
        tasks = {
            name: with_known_outputs(task, model.tasks[name])
            if task.is_scored_only or name not in run.tasks
            else task
            for name, task in recipe.tasks.items()
        }
        beside = carved_beside(recipe.tasks, run.tasks)
        data = load_data(recipe, seed, to_train=False, tasks=tasks, beside=beside)
        prepared = Prepared(recipe, args, data, read_tokenizer(str(model_path)))
        for split in splits:
            if not prepared.split(split):
                raise UserError(f"{recipe_path}: no task has a split '{split}' with rows that have a label")
            _say_other_rows(RunData(recipe_path.parent), data, split, baselines)
        if baselines:
            check_baselines(prepared)
        trainer = prepared.trainer(model, to_train=False)
        trainer.score_as(scoring_tasks(run, recipe, model.tasks), Trust.of(allow_code))
        _say_untuned(trainer.tasks)
        return OpenRun(prepared, trainer)


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


def _refuse_code(run: Recipe, asked: Recipe) -> None:
    """Refuse metrics that a run names and that are not ours, unless code is allowed; overrides are the user's own."""
    if asked.allow_code:
        return
    kept = {name: task for name, task in asked.tasks.items() if name in run.tasks}
    kept = {name: task for name, task in kept.items() if task.metrics == run.tasks[name].metrics}
    if mistakes := foreign_mistakes(kept, Trust.OURS):
        raise RunError(asked.with_places(mistakes))


def _refuse_kept_code(run: Recipe, asked: Recipe, tasks: Mapping[str, Task]) -> None:
    """Refuse metrics that are not ours of tasks that only the model's file describes, unless code is allowed."""
    kept = {
        name: tasks[name]
        for name, task in asked.tasks.items()
        if name not in run.tasks and "metrics" not in task.model_fields_set
    }
    if not asked.allow_code and (mistakes := foreign_mistakes(kept, Trust.OURS)):
        raise RunError(asked.with_places(mistakes))


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


def _folder(path: Path, overrides: Sequence[str], allow_code: bool) -> Path:
    """Give the folder that holds the model: of a recipe, that of its run."""
    if not path.is_file():
        return local_folder(path)
    recipe = load_recipe(path, overrides, allow_code, to_score=True)
    return Path(str(make_arguments(recipe, **_ONLY_SCORING, **of_whoever_trains()).output_dir))
