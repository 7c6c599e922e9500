"""Models by path: finds the one that a path means, and loads it as it was written."""

import json
import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import CheckpointError, Mistake, ModelError, RunError, one_line
from hf_mtl.inference.manifest import MANIFEST, MODEL_CONFIG, verify
from hf_mtl.modeling import MultiTaskModel, resolve_backbone
from hf_mtl.modeling.packages import IN_PACKAGE
from hf_mtl.modeling.tokenizer_files import read_tokenizer

_HUB_ID = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^@]+))?")
_GIVE = "Give a run's folder, a checkpoint in it, or a Hub id, owner/name or owner/name@revision"


def local_folder(name: str | Path) -> Path:
    """Find the folder that holds a trained model, and fetch it from the Hub where that is where it is.

    Args:
        name: A run's folder, a checkpoint or a model's folder; ``python:package/folder``; or a Hub id, ``owner/name``
            or ``owner/name@revision``. What is there as a path is taken for one.

    Returns:
        The folder; of a Hub id that of its files in the cache, with all that lies at the root of the repository.

    Raises:
        RunError: If there is neither such a path nor such a repository, or it cannot be fetched.
        ModelError: If there is no such folder in the package, or no such package.
        CacheError: If the cache cannot be written.
    """
    text = str(name)
    path = Path(resolve_backbone(text))
    if path.exists() or text.startswith(IN_PACKAGE):
        return path
    found = _HUB_ID.fullmatch(text)
    if found is None:
        raise RunError(Mistake("", f"{name}: no such file or folder", _GIVE))
    try:
        # Folders of it are checkpoints, with optimizers, or another library's.
        return Path(snapshot_download(found["id"], revision=found["revision"], ignore_patterns=["*/*"]))
    except Exception as error:  # a Hub, or a gateway before it, may answer anything
        refuse_cache(error)
        raise RunError(_not_fetched(found["id"], found["revision"], error)) from error


def _not_fetched(repo: str, revision: str | None, error: Exception) -> Mistake:
    """Say why a model could not be fetched from the Hub, and what to do."""
    no_folder = f"{repo}: no such file or folder, and"
    if isinstance(error, RevisionNotFoundError):
        return Mistake("", f"'{repo}' has no revision '{revision}' on the Hub", "Check its spelling, or leave it out")
    if isinstance(error, GatedRepoError):
        found = f"{no_folder} no access to that model of the Hub, which is gated"
        return Mistake("", found, "Ask for access on its page, then log in with `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        remedy = "Check the spelling; log in with `hf auth login` for a private model"
        return Mistake("", f"{no_folder} no such model on the Hub", remedy)
    if constants.HF_HUB_OFFLINE:
        return Mistake("", f"{no_folder} no such model in the cache", "Unset HF_HUB_OFFLINE to fetch it from the Hub")
    found = f"{no_folder} no model that can be fetched from the Hub: {one_line(error)}"
    return Mistake("", found, "Check the connection, and try again: what has been fetched is kept")


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


def load_any(name: str | Path) -> MultiTaskModel:
    """Load a trained model, in float32 and ready to predict.

    Args:
        name: What `local_folder` takes: a run's, a checkpoint's, one that was saved in Python, or the Hub's.

    Raises:
        UserError: If there is none, or it is damaged, or not hf_mtl's.
    """
    folder = local_folder(name)
    if folder.is_file():
        remedy = "Give the folder of a run (its recipe's training.output_dir), a checkpoint in it, or a Hub id"
        raise RunError(Mistake("", f"{name} is a file, and no model", remedy))
    if not (folder / MODEL_CONFIG).is_file():
        found = f"{name}: holds no trained model ({MODEL_CONFIG} is missing)"
        raise RunError(Mistake("", found, "Train it first (hf-mtl train), or give one of its checkpoints"))
    if (folder / MANIFEST).exists() or (folder / "recipe.yaml").exists():
        model = load_model(folder)
    else:
        model = MultiTaskModel.from_pretrained(folder, dtype="float32")
    model.eval()
    return model


def load_for_use(name: str | Path) -> tuple[MultiTaskModel, PreTrainedTokenizerBase]:
    """Load a model as `load_any` does, and the tokenizer beside it.

    Args:
        name: The model.

    Raises:
        UserError: If there is none, or it is damaged.
    """
    return load_any(name), read_tokenizer(str(local_folder(name)))


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
