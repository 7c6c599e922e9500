"""Models by path: finds the one that a path means, and loads it as it was written."""

import json
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_mtl.errors import CheckpointError, Mistake, ModelError, RunError
from hf_mtl.inference.manifest import MANIFEST, MODEL_CONFIG, verify
from hf_mtl.modeling import MultiTaskModel, resolve_backbone


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


def load_any(name: str) -> MultiTaskModel:
    """Load a trained model, in float32 and ready to predict.

    Args:
        name: Folder of a run, of a checkpoint or of a model, or a Hub id.

    Raises:
        UserError: If there is none, or it is damaged, or not hf_mtl's.
    """
    path = resolve_backbone(name)
    folder = Path(path)
    if not folder.exists() and (path.count("/") != 1 or path.startswith((".", "/", "~"))):  # no id of the Hub
        raise RunError(f"{name}: no such folder; give that of a run, of a checkpoint or of a model, or a Hub id")
    if (folder / MANIFEST).exists() or (folder / "recipe.yaml").exists():
        found = load_model(folder)
        found.eval()
        return found
    model: MultiTaskModel = MultiTaskModel.from_pretrained(path, dtype="float32")
    model.eval()
    return model


def _file_of(folder: Path, weight: str) -> Path:
    """Name the file of a model that holds a weight."""
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    shards = json.loads(index.read_text("utf-8"))["weight_map"] if index.exists() else {}
    found: Path = folder / shards.get(weight, SAFE_WEIGHTS_NAME)
    return found
