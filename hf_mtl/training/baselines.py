"""Simple models on the same rows, so that a score has something to stand beside."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from hf_mtl.data.labels import encode_labels
from hf_mtl.data.texts import is_tokenised
from hf_mtl.errors import RunError
from hf_mtl.evaluation import aggregate, baseline_scores
from hf_mtl.training.prepare import Prepared


def baseline_results(prepared: Prepared, rows: Mapping[str, Dataset]) -> dict[str, Any]:
    """Majority class and TF-IDF with a linear model, fitted on the training rows and scored on ``rows``.

    Args:
        prepared: The run's data.
        rows: The rows to score, by task.

    Returns:
        By baseline, the same as in ``results.json``.
    """
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


def check_baselines(prepared: Prepared) -> None:
    """Refuse tasks that bring token ids, of which TF-IDF knows no words.

    Raises:
        RunError: If there is such a task.
    """
    splits = {name: loaded.splits["train"] for name, loaded in prepared.data.items()}
    given = [name for name, split in splits.items() if is_tokenised(prepared.data[name].task, split)]
    if given:
        raise RunError(f"--baselines: they read texts, and {', '.join(given)} bring token ids; leave it out")


def _texts(dataset: Dataset, columns: list[str]) -> list[Any]:
    texts = [list(dataset[column]) for column in columns]
    return texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
