"""A trained checkpoint is scored again, on any split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoTokenizer

from hf_mtl.errors import CheckpointError, RunError, UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.recipe import load_recipe
from hf_mtl.training.baselines import baseline_results
from hf_mtl.training.checkpoint import MANIFEST, verify
from hf_mtl.training.prepare import Prepared, load_data, make_arguments

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
    path: str | Path, overrides: Sequence[str] = (), *, split: str = "validation", baselines: bool = False
) -> dict[str, Any]:
    """Score a checkpoint on the data of its run's recipe.

    Args:
        path: A run's folder, one of its checkpoints, or a recipe whose run is in its ``training.output_dir``.
        overrides: ``key=value`` that replace keys of the recipe, such as other data.
        split: ``train``, ``validation`` or ``test``.
        baselines: Score the majority class and TF-IDF with a linear model on the same rows too.

    Returns:
        ``{"tasks", "average", "macro", "worst", "loss", "split"}``, and ``"baselines"`` by name when asked.

    Raises:
        UserError: If there is no checkpoint, it is damaged, or there is no such split.
    """
    recipe_path, model_path = find_checkpoint(Path(path), overrides)
    recipe = load_recipe(recipe_path, overrides)
    # Nothing of training happens: no folder of it is made, and nothing is watched.
    args = make_arguments(recipe, output_dir=str(model_path), **_ONLY_SCORING)
    model = load_model(model_path)
    data = load_data(recipe, seed=args.data_seed if args.data_seed is not None else args.seed)
    prepared = Prepared(recipe, args, data, AutoTokenizer.from_pretrained(model_path))
    rows = prepared.split(split)
    if not rows:
        raise UserError(f"{recipe_path}: no task has a split '{split}'")
    trainer = prepared.trainer(model, to_train=False)
    trainer.predict(rows)
    results = {**trainer.scores.to_dict(), "split": split}
    if baselines:
        results["baselines"] = baseline_results(prepared, rows)
    return results


def find_checkpoint(path: Path, overrides: Sequence[str]) -> tuple[Path, Path]:
    """The recipe and the model that a path means.

    Raises:
        RunError: If there is no model, or no recipe beside it.
    """
    if not path.exists():
        raise RunError(f"{path}: no such file or folder; give a run's folder, a checkpoint in it, or a recipe")
    if path.is_file():
        path = Path(str(make_arguments(load_recipe(path, overrides), **_ONLY_SCORING).output_dir))
    if not (path / "config.json").is_file():
        raise RunError(f"{path}: holds no trained model (config.json is missing); train it first: hf-mtl train")
    for folder in (path, path.parent):
        if (folder / "recipe.yaml").is_file():
            return folder / "recipe.yaml", path
    raise RunError(f"{path}: has no recipe.yaml that says which data to score; give the run's folder")


def load_model(folder: Path) -> MultiTaskModel:
    """The model of a run or of a checkpoint.

    Raises:
        CheckpointError: If a file of it is missing or damaged; names the file.
    """
    if (folder / MANIFEST).exists():
        verify(folder)
    try:
        model: MultiTaskModel = MultiTaskModel.from_pretrained(folder, dtype="float32")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: its model cannot be read ({error})") from error
    return model
