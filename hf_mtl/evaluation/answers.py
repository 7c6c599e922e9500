"""Answers as texts: what is told of the spans that a model has found, and what metrics of answers read."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_mtl.data.asked_contexts import AskedContext
from hf_mtl.tasks.scoring import FoundAnswer, Metric


def answers_of_row(
    asked: AskedContext,
    spans: Sequence[tuple[float, int, int, int]],
    null: float,
    threshold: float | None,
) -> list[FoundAnswer]:
    """Make answers of spans, each once.

    Args:
        asked: The context.
        spans: Log-probability, window, first and last place of each, the best first.
        null: Log-probability of no answer.
        threshold: Log-odds of no answer against a span above which it comes first; None: there is always an answer.
    """
    found: dict[tuple[int, int], float] = {}
    for score, window, first, last in spans:
        found.setdefault(asked.characters(window, first, last), score)
    answers = [
        FoundAnswer(answer=asked.context[start:end], score=math.exp(score), start=start, end=end)
        for (start, end), score in found.items()
    ]
    if threshold is not None:
        place = sum(null - score <= threshold for score in found.values())
        answers.insert(place, FoundAnswer(answer="", score=math.exp(null), start=0, end=0))
    return answers


def answer_inputs(metric: Metric, texts: Sequence[str], asked: np.ndarray, odds: np.ndarray) -> dict[str, Any]:
    """Give a metric predicted texts and answers in the form that it takes.

    Ours take a text and a list of texts for each row; metrics of `evaluate` that are made for SQuAD its mappings, and
    those that compare one text with one the row's first answer, or an empty text.

    Args:
        metric: The metric.
        texts: What is predicted, empty for no answer.
        asked: An `AskedContext` for each row.
        odds: Log-odds of no answer against the best span.
    """
    answers = [row.answers for row in asked]
    features = getattr(getattr(metric, "metric", None), "features", None)
    if features is None:
        return {"predictions": list(texts), "references": answers}
    features = features[0] if isinstance(features, list) else features
    wanted = features["predictions"]
    if isinstance(wanted, dict) and "prediction_text" in wanted:
        return _as_squad(wanted, texts, asked, odds)
    if getattr(features["references"], "dtype", None) == "string":
        return {"predictions": np.array(texts, object), "references": _objects([(row or [""])[0] for row in answers])}
    return {"predictions": np.array(texts, object), "references": _objects(answers)}


def _as_squad(wanted: dict[str, Any], texts: Sequence[str], asked: np.ndarray, odds: np.ndarray) -> dict[str, Any]:
    predictions, references = [], []
    for number, (text, row) in enumerate(zip(texts, asked, strict=True)):
        prediction: dict[str, Any] = {"id": str(number), "prediction_text": text}
        if "no_answer_probability" in wanted:
            # What is predicted to have no answer has an empty text already.
            prediction["no_answer_probability"] = float(1 / (1 + np.exp(-np.clip(odds[number], -500, 500))))
        predictions.append(prediction)
        starts = [start for start, _ in row.spans]
        references.append({"id": str(number), "answers": {"text": row.answers, "answer_start": starts}})
    return {"predictions": _objects(predictions), "references": _objects(references)}


def _objects(values: Sequence[Any]) -> np.ndarray:
    """Put values into an array as they are, also lists."""
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        found[place] = value
    return found
