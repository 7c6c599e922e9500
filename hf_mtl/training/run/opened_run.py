"""A trained run is opened again: its recipe, today's data, its model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.data.stratified_carving import carved_beside
from hf_mtl.errors import RunError
from hf_mtl.evaluation import Trust, foreign_mistakes
from hf_mtl.inference.runs import find_checkpoint, load_model, local_folder
from hf_mtl.launched import of_whoever_trains
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.progress import no_bars
from hf_mtl.recipe import Recipe, load_recipe, read_recipe
from hf_mtl.tasks import Task
from hf_mtl.training.run.prepare import Prepared, load_data, make_arguments
from hf_mtl.training.run.taken import with_known_outputs
from hf_mtl.training.run.untrained import NOT_TRAINED
from hf_mtl.training.trainer.scoring_overrides import check_overrides


@dataclass(frozen=True)
class OpenedRun:
    """A trained run, ready to be scored.

    Args:
        recipe_path: Its recipe's file, in its folder.
        model_path: The folder of its model: the run's, or a checkpoint's.
        run: The recipe as it was trained.
        recipe: The recipe with what is asked for now.
        prepared: Its data and tokenizer.
        model: Its model.
    """

    recipe_path: Path
    model_path: Path
    run: Recipe
    recipe: Recipe
    prepared: Prepared
    model: MultiTaskModel


@contextmanager
def opened_run(
    path: str | Path,
    overrides: Sequence[str] = (),
    allow_code: bool = False,
    through: Callable[[MultiTaskModel], Callable[..., MultiTaskOutput]] | None = None,
) -> Iterator[OpenedRun]:
    """Open a run as `hf_mtl.training.evaluate_run` scores it; bars are as its recipe says as long as it is open.

    Args:
        path: As there.
        overrides: As there.
        allow_code: As there.
        through: As there.

    Raises:
        UserError: As there.
    """
    recipe_path, model_path = find_checkpoint(_folder(Path(path), overrides, allow_code))
    recipe = load_recipe(recipe_path, overrides, allow_code, to_score=True)
    run = read_recipe(recipe_path)  # behind the plugins, of which it names components
    _refuse_code(run, recipe)
    # Nothing of training happens: no folder of it is made, and nothing is watched.
    args = make_arguments(recipe, output_dir=str(model_path), **NOT_TRAINED, **of_whoever_trains())
    with no_bars(args.disable_tqdm):
        model = load_model(model_path)
        if through is not None:
            model.forward = through(model)  # type: ignore[method-assign]
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
        yield OpenedRun(recipe_path, model_path, run, recipe, prepared, model)


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


def _folder(path: Path, overrides: Sequence[str], allow_code: bool) -> Path:
    """Give the folder that holds the model: of a recipe, that of its run."""
    if not path.is_file():
        return local_folder(path)
    recipe = load_recipe(path, overrides, allow_code, to_score=True)
    return Path(str(make_arguments(recipe, **NOT_TRAINED, **of_whoever_trains()).output_dir))
