"""Whether a run that is there has the model of a recipe: affinities in another one are not those of the recipe."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.plain import describe
from hf_mtl.recipe import Recipe, read_recipe
from hf_mtl.tasks import Task
from hf_mtl.training.folder.names import RECIPE

_OF_MODEL = ("backbone", "tokenizer", "pooling", "head", "peft", "freeze")
"""Keys of the model section that decide over what tasks share; dropout is off where affinities are measured."""


def other_parts(recipe: Recipe, model: MultiTaskModel, folder: Path) -> Iterator[Mistake]:
    """Find in what the model of a recipe is another one than that of a run.

    Args:
        recipe: The recipe.
        model: The run's model.
        folder: Its folder, in a run's or alone; without the run's recipe the encoder's config alone is compared.
    """
    run = next((place for place in (folder, folder.parent) if (place / RECIPE).is_file()), None)
    if run is None:
        yield from _other_encoder(recipe.model.backbone, model, folder)
        return
    mine, theirs = _parts(recipe), _parts(read_recipe(run / RECIPE))
    for key, value in mine.items():
        if key in theirs and value != theirs[key]:
            yield _mistake(key, value, theirs[key], folder)


def _parts(recipe: Recipe) -> dict[str, Any]:
    """Return what makes the model and its losses, by dotted key."""
    section = recipe.model.model_dump(mode="json")
    found = {f"model.{key}": section[key] for key in _OF_MODEL}
    for name, task in recipe.trained_tasks.items():
        own = type(task).model_fields.keys() - Task.model_fields.keys() - set(task.scoring_keys)
        values = task.model_dump(mode="json")
        found |= {f"tasks.{name}.{key}": values[key] for key in ("head", *sorted(own))}
    return found


def _other_encoder(backbone: str | Mapping[str, Any], model: MultiTaskModel, folder: Path) -> Iterator[Mistake]:
    """Compare what a recipe says of the encoder with a model's config, as far as that knows it."""
    if isinstance(backbone, str):
        theirs = model.config.backbone
        if theirs not in (None, backbone) and not Path(backbone).exists():
            yield _mistake("model.backbone", backbone, theirs, folder)
        return
    for key, value in backbone.items():
        theirs = getattr(model.config.encoder_config, key, value)
        if theirs != value:
            yield _mistake(f"model.backbone.{key}", value, theirs, folder)


def _mistake(key: str, mine: Any, theirs: Any, folder: Path) -> Mistake:
    problem = f"is {describe(mine)}, and of {folder} it is {describe(theirs)}"
    return Mistake(key, problem, "Give a run of this model, or leave --checkpoint out.")
