"""A language model without training on the rows that a model is scored on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl.data.carve import draw
from hf_mtl.data.columns import arrow_column, name_count
from hf_mtl.data.labels import encode_labels
from hf_mtl.evaluation import Trust, aggregate, score_notes, score_task
from hf_mtl.inference.language_model import LanguageModel
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import Task
from hf_mtl.training.run.prepare import Prepared

NAME = "llm"


def zero_shot_results(prepared: Prepared, rows: Mapping[str, Dataset]) -> dict[str, Any]:
    """Ask the language model of ``baselines.llm`` for the labels of rows, and score its answers.

    Args:
        prepared: The run's data.
        rows: The rows to score, by task.

    Returns:
        Empty where the recipe names none; else, by its name, the same as in ``results.json``. Means over tasks are
        left out where it has no answers for some of them. ``sampled`` names the tasks of which it was asked fewer
        rows than were scored, so that its scores are not of the same rows.
    """
    spec = prepared.recipe.baselines.llm
    if spec is None:
        return {}
    scores: dict[str, dict[str, float]] = {}
    tasks: dict[str, Task] = {}
    notes: list[str] = []
    sampled: list[str] = []
    model: LanguageModel | None = None
    trust = Trust.of(prepared.recipe.allow_code)
    for name, dataset in rows.items():
        task = prepared.data[name].task
        asked = _asked_rows(dataset, prepared.recipe)
        candidates = task.candidates(texts_of(asked, task.text_columns))
        if candidates is None:
            notes.append(f"{name}: a {task.type} has no labels to choose from in words.")
            continue
        model = model or LanguageModel.load(spec.model, prepared.args.device)
        prompts = [
            spec.prompt(text, name, labels) for text, labels in zip(candidates.texts, candidates.labels, strict=True)
        ]
        found, cut = model.scores(prompts, candidates.labels)
        outputs = task.outputs_of(candidates.outputs(found))
        labels = encode_labels(task, name, "evaluation", asked)
        references = task.references(asked, labels.values)
        statistics = task.training_statistics(_train_labels(prepared, name))
        tasks[name] = task
        scores[name] = score_task(task, name, outputs, references, statistics, trust, labels.weights)
        if len(asked) < len(dataset):
            sampled.append(name)
            notes.append(f"{name}: {len(asked):,} of {name_count(len(dataset))} were asked of.")
        if cut:
            notes.append(f"{name}: {name_count(cut)} lost the beginning of their text, as the model reads no more.")
        notes += score_notes(task, name, outputs, references, scores[name])
    together = aggregate(scores, tasks) if scores and len(scores) == len(rows) else {}
    return {NAME: {"tasks": scores, **together, "notes": notes, "sampled": sampled}}


def _asked_rows(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Draw the rows that the language model is asked of, the same every time; all, unless ``max_rows`` is less.

    Args:
        dataset: The rows that are scored.
        recipe: The recipe.
    """
    spec = recipe.baselines.llm
    if spec is None or spec.max_rows is None or len(dataset) <= spec.max_rows:
        return dataset
    return dataset.select(draw(len(dataset), spec.max_rows, seed=0))


def _train_labels(prepared: Prepared, name: str) -> np.ndarray:
    loaded = prepared.data[name]
    train = loaded.splits.get("train")
    return np.zeros(0, dtype=np.int64) if train is None else encode_labels(loaded.task, name, "train", train).values


def texts_of(dataset: Dataset, columns: list[str]) -> list[Any]:
    """Return the text of each row, or its texts where a task reads several columns.

    Args:
        dataset: The rows.
        columns: The text columns.
    """
    texts = [arrow_column(dataset, column).to_pylist() for column in columns]
    return texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
