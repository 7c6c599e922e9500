"""Scores of tasks whose rows may have several labels, of some of which a row may not tell."""

from collections.abc import Iterator

import numpy as np

from hf_mtl.errors import Mistake
from hf_mtl.evaluation.binary import UNKNOWN
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.loading import ExternalMetric
from hf_mtl.tasks import MetricSpec
from hf_mtl.tasks.scoring import Metric

_REMEDY = "Give rows with labels to evaluate on."


def metric_mistakes(key: str, spec: MetricSpec, names: list[str] | None) -> Iterator[Mistake]:
    """Find what is wrong with the labels that an f1 averages over.

    Args:
        key: Recipe key of the task's metrics.
        spec: A metric.
        names: The labels; None while they are not known.
    """
    if spec.name == "f1" and spec.labels is None:
        yield Mistake(key, "f1 without labels", "Write {name: f1, labels: [...]}, or use f1_macro")
    elif spec.name == "f1" and names is not None:
        yield from f1_mistakes(key, spec, names)


def label_measure(metric: Metric, logits: np.ndarray, predicted: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Compute a metric; one that is not ours of one label after another, on the rows that tell of it.

    Args:
        metric: The metric.
        logits: Of each label [n, L].
        predicted: The predicted labels, 1 or 0 [n, L].
        answers: 1, 0 or `UNKNOWN`, [n, L].
    """
    given = 1 / (1 + np.exp(-logits.astype(np.float64))) if metric.wants_probabilities else predicted
    key = "prediction_scores" if metric.wants_probabilities else "predictions"
    known = answers != UNKNOWN
    if isinstance(metric, ExternalMetric):
        columns = [(given[rows, place], answers[rows, place]) for place, rows in enumerate(known.T)]
        values = [metric.compute(**{key: found, "references": of})[metric.key] for found, of in columns if len(of)]
        return {metric.key: float(np.mean(values))}
    inputs = {key: given, "references": answers}
    if not metric.wants_probabilities:
        # Neither there nor predicted: what is not known counts in no F1.
        inputs = {name: np.where(known, values, 0).astype(np.int64) for name, values in inputs.items()}
    found: dict[str, float] = metric.compute(**inputs)
    return found


def undefined_of_labels(spec: MetricSpec, names: list[str], counts: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """Find what becomes of a metric where no row has any of the labels that it is about.

    Args:
        spec: The metric.
        names: The labels.
        counts: Rows with each, [L].

    Yields:
        What becomes of it, why, and what to do.
    """
    if spec.name == "mean_average_precision" and not counts.any():
        yield "undefined", "none has a label", _REMEDY
    if spec.name in ("f1_macro", "f1_micro") and not counts.any():
        yield "0 whatever is predicted", "none has a label", _REMEDY
    if spec.name == "f1":
        chosen = [names[label] if isinstance(label, int) else label for label in spec.labels or []]
        if not any(counts[names.index(name)] for name in chosen):
            wanted = ", ".join(f"'{name}'" for name in chosen)
            yield (
                "0 whatever is predicted",
                f"none has the label {wanted}",
                f"Give rows with {wanted} to evaluate on.",
            )
