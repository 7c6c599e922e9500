"""Models by path: finds the one that a path means, and loads it as it was written."""

import json
from pathlib import Path

from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_mtl.errors import CheckpointError, Mistake, ModelError, RunError
from hf_mtl.inference.manifest import MANIFEST, MODEL_CONFIG, verify
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import read_tokenizer


def find_checkpoint(path: Path) -> tuple[Path, Path]:
    """Find the recipe and the model that a folder means: a run's folder, or one of its checkpoints.

    Raises:
        RunError: If there is no model, or no recipe beside it.
    """
    if not (path / "config.json").is_file():
        raise RunError(f"{path}: holds no trained model (config.json is missing); train it first: hf-mtl train")
    for folder in (path, path.parent):
        if (folder / "recipe.yaml").is_file():
            return folder / "recipe.yaml", path
    raise RunError(
        f"{path}: has no recipe.yaml that says which data to score; give the run's folder. A joined model has none: "
        "its tasks score as in their runs, and in Python MultiTaskTrainer.evaluate scores them on any rows"
    )


def load_for_use(path: str) -> tuple[MultiTaskModel, PreTrainedTokenizerBase]:
    """Load a model and the tokenizer beside it: a run's, a checkpoint's, one that was saved in Python, or the Hub's.

    Args:
        path: A folder, or a Hub id.

    Raises:
        UserError: If there is none, or it is damaged.
    """
    folder = Path(path)
    if folder.is_file():
        remedy = "Give the folder of a run (its recipe's training.output_dir), a checkpoint in it, or a Hub id"
        raise RunError(Mistake("", f"{path} is a file, and no model", remedy))
    if folder.is_dir():
        if not (folder / MODEL_CONFIG).is_file():
            found = f"{path}: holds no trained model ({MODEL_CONFIG} is missing)"
            raise RunError(Mistake("", found, "Train it first (hf-mtl train), or give one of its checkpoints"))
        if (folder / MANIFEST).exists():
            return load_model(folder), read_tokenizer(path)
    elif path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise RunError(Mistake("", f"{path}: no such folder", "Give a run's folder, a checkpoint in it, or a Hub id"))
    model: MultiTaskModel = MultiTaskModel.from_pretrained(path, dtype="float32")
    return model, read_tokenizer(path)


def load_model(folder: Path) -> MultiTaskModel:
    """Load the model of a run or of a checkpoint, as it was written.

    Raises:
        CheckpointError: If a file of it is missing, damaged, of another model, or holds numbers that are not finite;
            names the file.
    """
    if not (folder / MANIFEST).exists():
        found = f"{folder / MANIFEST}: not found; the run has not ended, or the folder is a copy of a part of it"
        remedy = "Continue an unfinished run with --resume, score one of its checkpoints, or copy the whole folder"
        raise CheckpointError(Mistake("", found, remedy))
    verify(folder, needs=MODEL_CONFIG)
    try:
        model: MultiTaskModel = MultiTaskModel.from_pretrained(folder, dtype="float32")
    except (OSError, SafetensorError, ModelError) as error:
        raise CheckpointError(f"{folder}: its model cannot be read ({error})") from error
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            problem = f"{name} holds numbers that are not finite, so no score would be finite either"
            raise CheckpointError(f"{_file_of(folder, name)}: {problem}; score an earlier checkpoint of the run")
    return model


def _file_of(folder: Path, weight: str) -> Path:
    """Name the file of a model that holds a weight."""
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    shards = json.loads(index.read_text("utf-8"))["weight_map"] if index.exists() else {}
    found: Path = folder / shards.get(weight, SAFE_WEIGHTS_NAME)
    return found
