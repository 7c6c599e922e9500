"""Whether a run that is there has the model of a recipe: affinities in another one are not those of the recipe."""

import filecmp
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.plain import describe
from hf_mtl.recipe import Recipe, read_recipe
from hf_mtl.tasks import Task
from hf_mtl.training.folder.names import RECIPE

_OF_MODEL = ("pooling", "head", "peft", "freeze")
"""Keys of the model section that decide over what tasks share, beside the encoder and the tokenizer; dropout is off
where affinities are measured."""
_NO_PART = frozenset({"architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"})
"""Fields of an encoder's config that say nothing of what it is; nor do names of places, and dropout."""
_WEIGHTS = ("*.safetensors", "*.bin")
_NOT_GIVEN = object()
_REMEDY = "Give a run of this model, or leave --checkpoint out."


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
    other = read_recipe(run / RECIPE)
    yield from _other_backbone(recipe, other, model, folder)
    yield from _other_tokenizer(recipe, other, folder)
    mine, theirs = _parts(recipe), _parts(other)
    for key, value in mine.items():
        if key in theirs and value != theirs[key]:
            yield from _mistakes(key, value, theirs[key], folder)


def _parts(recipe: Recipe) -> dict[str, Any]:
    """Return what makes the model and its losses, by dotted key."""
    section = recipe.model.model_dump(mode="json")
    found = {f"model.{key}": section[key] for key in _OF_MODEL}
    for name, task in recipe.trained_tasks.items():
        own = type(task).model_fields.keys() - Task.model_fields.keys() - set(task.scoring_keys)
        values = task.model_dump(mode="json")
        found |= {f"tasks.{name}.{key}": values[key] for key in ("head", *sorted(own))}
    return found


def _other_backbone(recipe: Recipe, other: Recipe, model: MultiTaskModel, folder: Path) -> Iterator[Mistake]:
    """Compare the encoders: those of folders by what is in these, others by what they are called, or by their config.

    The run's recipe says where its pretrained weights lay, and not what they were. So they are compared where both
    folders are there; a folder in whose place another model of the same config was put is not told.
    """
    mine, theirs = recipe.model.backbone, other.model.backbone
    if not _is_folder(mine) or not _is_path(theirs):
        if mine != theirs:
            yield from _mistakes("model.backbone", mine, theirs, folder)
        return
    here, there = Path(str(mine)), Path(str(theirs))
    if changed := _other_fields(here, model):
        yield Mistake("model.backbone", f"{here} has another {changed} than the encoder of {folder}", _REMEDY)
    elif there.is_dir() and not _same_weights(here, there):
        yield Mistake("model.backbone", f"{here} has other weights than {there}, from which {folder} began", _REMEDY)


def _other_tokenizer(recipe: Recipe, other: Recipe, folder: Path) -> Iterator[Mistake]:
    """Compare the tokenizers: that of a folder with the one that the run has kept, others by what they are called."""
    mine, theirs = _tokenizer_of(recipe), _tokenizer_of(other)
    if not _is_folder(mine):
        # One that comes with the backbone is compared with it.
        if mine != theirs and (recipe.model.tokenizer, other.model.tokenizer) != (None, None):
            yield from _mistakes("model.tokenizer", mine, theirs, folder)
    elif _tokenizing(str(mine)) != _tokenizing(str(folder)):
        yield Mistake("model.tokenizer", f"that of {mine} is another one than that of {folder}", _REMEDY)


def _tokenizer_of(recipe: Recipe) -> str | dict[str, Any] | None:
    """Return where a recipe's tokenizer comes from: without a word of it, from its backbone."""
    found, backbone = recipe.model.tokenizer, recipe.model.backbone
    return backbone if found is None and isinstance(backbone, str) else found


def _tokenizing(place: str) -> tuple[dict[str, int], Any]:
    """Return what makes ids of texts, as far as all tokenizers tell it: the vocabulary, and what is done to texts."""
    tokenizer = read_tokenizer(place)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return tokenizer.get_vocab(), None if backend is None else json.loads(backend.to_str())["normalizer"]


def _is_path(name: Any) -> bool:
    """Tell whether a recipe means a folder, which it has made absolute, and nothing of the Hub or a package."""
    return isinstance(name, str) and Path(name).is_absolute()


def _is_folder(name: Any) -> bool:
    return _is_path(name) and Path(name).is_dir()


def _other_fields(backbone: Path, model: MultiTaskModel) -> str:
    """Name the fields of the config in a folder that are not those of a model's encoder; empty: all are."""
    config = load_encoder_config(backbone)
    mine = config.encoder_config if isinstance(config, MultiTaskConfig) else config
    read = {} if mine is None else mine if isinstance(mine, dict) else mine.to_dict()
    theirs = model.config.encoder_config.to_dict()
    fields = [key for key in theirs if key not in _NO_PART and not key.startswith("_") and "drop" not in key]
    return ", ".join(key for key in fields if key in read and read[key] != theirs[key])


def _same_weights(one: Path, other: Path) -> bool:
    """Tell whether two folders hold the same files of weights."""
    if one.samefile(other):
        return True
    names = [{file.name for pattern in _WEIGHTS for file in place.glob(pattern)} for place in (one, other)]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])


def _other_encoder(backbone: str | Mapping[str, Any], model: MultiTaskModel, folder: Path) -> Iterator[Mistake]:
    """Compare what a recipe says of the encoder with a model's config, as far as that knows it."""
    if isinstance(backbone, str):
        theirs = model.config.backbone
        if _is_folder(backbone):
            if changed := _other_fields(Path(backbone), model):
                problem = f"{backbone} has another {changed} than the encoder of {folder}"
                yield Mistake("model.backbone", problem, _REMEDY)
        elif theirs not in (None, backbone):
            yield from _mistakes("model.backbone", backbone, theirs, folder)
        return
    for key, value in backbone.items():
        theirs = getattr(model.config.encoder_config, key, value)
        if theirs != value:
            yield from _mistakes(f"model.backbone.{key}", value, theirs, folder)


def _mistakes(key: str, mine: Any, theirs: Any, folder: Path) -> Iterator[Mistake]:
    """Say what a key is and what it is of a run; of two mappings, which keys of theirs differ."""
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        yield Mistake(key, f"is {_shown(mine)}, and of {folder} it is {_shown(theirs)}", _REMEDY)
        return
    for name in dict.fromkeys([*mine, *theirs]):
        pair = (mine.get(name, _NOT_GIVEN), theirs.get(name, _NOT_GIVEN))
        if pair[0] != pair[1]:
            yield from _mistakes(f"{key}.{name}", *pair, folder)


def _shown(value: Any) -> str:
    return "not given" if value is _NOT_GIVEN else describe(value)
