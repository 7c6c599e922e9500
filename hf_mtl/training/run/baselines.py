"""Simple models on the same rows, so that a score has something to stand beside."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl.data.labels import encode_labels
from hf_mtl.data.processes import from_first
from hf_mtl.data.texts import is_tokenised
from hf_mtl.errors import RunError
from hf_mtl.evaluation import (
    Trust,
    aggregate,
    baseline_outputs,
    baseline_predictions,
    headline_keys,
    score_notes,
    score_task,
)
from hf_mtl.inference.language_model import check_language_model
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs
from hf_mtl.training.run.prepare import Prepared, located
from hf_mtl.training.run.zero_shot import NAME, texts_of, zero_shot_results

_WORDS = {"tfidf": "TF-IDF with a linear model", NAME: "the language model, which has not been trained on it"}


def baseline_results(prepared: Prepared, rows: Mapping[str, Dataset]) -> dict[str, Any]:
    """Fit the majority class and TF-IDF with a linear model on the training rows, and score them on ``rows``.

    Args:
        prepared: The run's data.
        rows: The rows to score, by task.

    Returns:
        By baseline, the same as in ``results.json``; beside those two what `zero_shot_results` gives.
    """
    scores: dict[str, dict[str, dict[str, float]]] = {}
    notes: dict[str, list[str]] = {}
    tasks, trust = {}, Trust.of(prepared.recipe.allow_code)
    for name, evaluated in _fitted(prepared, rows).items():
        task = tasks[name] = prepared.data[name].task
        train = prepared.data[name].splits["train"]
        train_labels = encode_labels(task, name, "train", train).values
        labels = encode_labels(task, name, "evaluation", evaluated)
        texts = [texts_of(found, task.text_columns) for found in (train, evaluated)]
        references, known = task.references(evaluated, labels.values), task.training_statistics(train_labels)
        for baseline, (decided, outputs) in _predictions(prepared, name, texts[0], train_labels, texts[1]).items():
            values = score_task(decided, name, outputs, references, known, trust, labels.weights)
            scores.setdefault(baseline, {})[name] = values
            said = notes.setdefault(baseline, [])
            if baseline != "majority":  # which predicts one class by design
                said += score_notes(decided, name, outputs, references, values)
    return {
        name: {"tasks": values, **aggregate(values, tasks), "notes": notes[name]} for name, values in scores.items()
    } | zero_shot_results(prepared, rows)


def _fitted(prepared: Prepared, rows: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Leave out the tasks that have no training rows."""
    return {name: dataset for name, dataset in rows.items() if "train" in prepared.data[name].splits}


def _predictions(
    prepared: Prepared, name: str, train_texts: list[Any], train_labels: np.ndarray, texts: list[Any]
) -> dict[str, tuple[Task, Outputs]]:
    """Predict a task with each baseline; what the task asks to have tuned is tuned for it too, on validation rows."""
    loaded = prepared.data[name]
    task, validation = loaded.task, loaded.splits.get("validation")
    if task.tuned_by is None or validation is None:
        found = baseline_predictions(task, train_texts, train_labels, texts)
        return {baseline: (task, outputs) for baseline, outputs in found.items()}
    labels, tuned_on = encode_labels(task, name, "validation", validation), texts_of(validation, task.text_columns)
    references = task.references(validation, labels.values)
    raw = baseline_outputs(task, train_texts, train_labels, [*tuned_on, *texts])
    decided = {}
    for baseline, outputs in raw.items():
        value, _ = task.tuned(outputs[: len(tuned_on)], references)
        decided[baseline] = (task.decided(value), task.outputs_of(outputs[len(tuned_on) :]))
    return decided


def add_baselines(results: dict[str, Any], prepared: Prepared, rows: Mapping[str, Dataset]) -> None:
    """Put the baselines beside the results, and say of which tasks the model is worse.

    Of several processes the first fits them, while the others wait for as long as that takes.

    Args:
        results: As in ``results.json``; takes ``baselines``, and more ``notes``.
        prepared: The run's data.
        rows: The rows that were scored, by task.
    """
    fitted = _fitted(prepared, rows)
    untrained = [name for name in rows if name not in fitted]
    results["notes"] += [f"{name}: no training rows, so neither majority nor TF-IDF." for name in untrained]
    results["baselines"] = from_first(partial(baseline_results, prepared, rows))
    for name in [name for name in rows if name in results["tasks"]]:
        scores = results["tasks"][name]
        key = headline_keys(prepared.data[name].task)[0]
        for baseline, words in _WORDS.items():
            found = results["baselines"].get(baseline, {"tasks": {}})
            other = None if name in found.get("sampled", ()) else found["tasks"].get(name)
            if other is not None and scores[key] < other[key]:
                results["notes"].append(f"{name}: {key} {scores[key]:.4f} is below the {other[key]:.4f} of {words}.")


def check_baselines(prepared: Prepared) -> None:
    """Refuse tasks that bring token ids, of which TF-IDF knows no words, and a language model that is none.

    Raises:
        RunError: If there is such a task.
        ModelError: If ``baselines.llm`` names no causal language model.
    """
    splits = prepared.split("train")
    given = [name for name, split in splits.items() if is_tokenised(prepared.data[name].task, split)]
    if given:
        raise RunError(f"--baselines: reads texts, and the rows of {', '.join(given)} are token ids; leave it out")
    if (spec := prepared.recipe.baselines.llm) is not None:
        with located(prepared.recipe):
            check_language_model(spec.model)
