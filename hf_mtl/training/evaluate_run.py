"""A trained checkpoint is scored again, on any split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from hf_mtl.data.labels import encode_labels
from hf_mtl.errors import RunError, UserError
from hf_mtl.evaluation import aggregate, baseline_scores
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.recipe import load_recipe
from hf_mtl.training.prepare import Prepared, load_data, make_arguments


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
        UserError: If there is no checkpoint, or no such split.
    """
    recipe_path, model_path = find_checkpoint(Path(path), overrides)
    recipe = load_recipe(recipe_path, overrides)
    args = make_arguments(recipe, report_to="none")
    model = MultiTaskModel.from_pretrained(model_path, dtype="float32")
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
    if path.is_file():
        output = make_arguments(load_recipe(path, overrides), report_to="none").output_dir
        path = Path(str(output))
    if not (path / "config.json").is_file():
        raise RunError(f"{path}: holds no trained model (config.json is missing); train it first: hf-mtl train")
    for folder in (path, path.parent):
        if (folder / "recipe.yaml").is_file():
            return folder / "recipe.yaml", path
    raise RunError(f"{path}: has no recipe.yaml that says which data to score; give the run's folder")


def baseline_results(prepared: Prepared, rows: dict[str, Any]) -> dict[str, Any]:
    """Majority class and TF-IDF with a linear model, fitted on the training rows and scored on ``rows``."""
    scores: dict[str, dict[str, dict[str, float]]] = {}
    tasks = {}
    for name, evaluated in rows.items():
        task = tasks[name] = prepared.data[name].task
        train = prepared.data[name].splits["train"]
        found = baseline_scores(
            task,
            name,
            _texts(train, task.text_columns),
            encode_labels(task, name, "train", train).values,
            _texts(evaluated, task.text_columns),
            encode_labels(task, name, "evaluation", evaluated).values,
        )
        for baseline, values in found.items():
            scores.setdefault(baseline, {})[name] = values
    return {name: {"tasks": values, **aggregate(values, tasks)} for name, values in scores.items()}


def _texts(dataset: Any, columns: list[str]) -> list[Any]:
    texts = [list(dataset[column]) for column in columns]
    return texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
