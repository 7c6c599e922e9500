"""Outputs for the words of rows as they are kept and scored."""

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_schemes import OUTSIDE, Tags
from hf_mtl.errors import Mistake
from hf_mtl.evaluation.classes import class_measure
from hf_mtl.evaluation.outputs import ClassOutputs, broken_rows
from hf_mtl.tasks import MetricSpec
from hf_mtl.tasks.scoring import Compact, Metric

ABSENT = -100.0
"""What stands in the outputs where a row has no word, as a `transformers.Trainer` fills them up."""
_ENTITY = ("entity_f1", "entity_precision", "entity_recall")
_REMEDY = "Give rows with entities to evaluate on."


@dataclass(frozen=True, eq=False)
class TagOutputs:
    """The outputs for the words of n rows.

    Args:
        predicted: The tag of each word's largest output, the first of equal ones, `NO_CLASS` where there is no
            output, int64 [n, W].
        broken: Rows with an output that is not finite.
        logits: [n, W, C]; None: nobody wants them.
    """

    predicted: NDArray[np.int64]
    broken: int
    logits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.predicted)

    @classmethod
    def of(cls, raw: np.ndarray, whole: bool) -> "TagOutputs":
        """Make the outputs of those of a head [n, W, C].

        Args:
            raw: Those.
            whole: Whether to keep the logits.
        """
        absent = (raw == ABSENT).all(axis=-1)
        predicted = np.where(absent, NO_CLASS, raw.argmax(axis=-1))
        return cls(predicted.astype(np.int64), broken_rows(raw), raw if whole else None)

    @classmethod
    def gathered(cls, batches: Iterable[np.ndarray], whole: bool) -> "TagOutputs":
        """Make the outputs of one batch of rows after another."""
        parts = [cls.of(raw, whole) for raw in batches]
        logits = np.concatenate([part.logits for part in parts if part.logits is not None]) if whole else None
        return cls(np.concatenate([part.predicted for part in parts]), sum(part.broken for part in parts), logits)

    def over(self, labels: np.ndarray, outside: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give predictions and labels of the same words, [n, W] each; a word without an output is ``outside``.

        Args:
            labels: The labels, `NO_CLASS` where no tag is known; they may be wider, or less wide.
            outside: The tag of words outside of entities, -1 where there is none.
        """
        wide = labels.shape[1]
        found = np.full(labels.shape, outside, dtype=np.int64)
        most = min(wide, self.predicted.shape[1])
        there = self.predicted[:, :most] != NO_CLASS
        found[:, :most] = np.where(there, self.predicted[:, :most], outside)
        return found, labels.astype(np.int64)


def tags_alone(places: tuple[int, ...]) -> Compact:
    """Keep of the outputs [B, W, C] the tags, and whether all outputs of a row are finite, [B, W + 1].

    Args:
        places: W.
    """
    return Compact(_tags_alone, places[0] + 1, _read_tags)


def _tags_alone(logits: Tensor) -> Tensor:
    classes = torch.arange(logits.shape[-1], device=logits.device)
    # Not argmax, which may take any of equal ones on an accelerator.
    smaller = logits < logits.amax(dim=-1, keepdim=True)
    first = torch.where(smaller, logits.shape[-1], classes).amin(dim=-1)
    first = torch.where((logits == ABSENT).all(dim=-1), NO_CLASS, first)
    return torch.cat([first, logits.isfinite().flatten(1).all(dim=1, keepdim=True)], dim=1).float()


def _read_tags(kept: np.ndarray) -> TagOutputs:
    return TagOutputs(kept[:, :-1].astype(np.int64), int((kept[:, -1] == 0).sum()))


def tag_measure(metric: Metric, found: TagOutputs, labels: np.ndarray, tags: Tags) -> dict[str, float]:
    """Compute a metric: of entities in sentences, else of all words whose tag is known.

    Args:
        metric: The metric.
        found: The outputs; with their logits, if the metric wants probabilities.
        labels: Tags [n, W].
        tags: The task's tags.
    """
    predicted, known = found.over(labels, tags.outside)[0], labels != NO_CLASS
    if metric.key in _ENTITY:
        rows = _with_entities(predicted, labels, tags)
        names = np.array([*tags.names, OUTSIDE], dtype=object)  # the last one for -1, a word without an output
        given = {"predictions": predicted, "references": labels}
        # A word whose tag is not known is left out of its sentence, as `evaluate`'s users do by -100.
        return metric.compute(
            **{key: [names[value[row][known[row]]].tolist() for row in rows] for key, value in given.items()}
        )
    weights = getattr(metric, "weights", None)
    if weights is not None:
        weighted: Any = metric
        weighted.weights = np.repeat(weights, known.sum(axis=1))  # each word weighs what its row does
    flat = labels[known].astype(np.int64)
    logits = None if found.logits is None else _logits(found.logits, known)
    return class_measure(metric, ClassOutputs(predicted[known], found.broken, logits), flat)


def _with_entities(predicted: np.ndarray, labels: np.ndarray, tags: Tags) -> NDArray[np.int64]:
    """Find the rows with a tag of an entity: others change no count, and most rows of a large corpus have none."""
    entity = np.append(tags.roles > 0, False)
    there = entity[np.where(labels == NO_CLASS, -1, labels)] | entity[predicted]
    return np.flatnonzero(there.any(axis=1))


def _logits(logits: np.ndarray, known: NDArray[np.bool_]) -> np.ndarray:
    """Give the logits of known words [m, C]; those without an output have the same for every tag."""
    wide = np.full((*known.shape, logits.shape[-1]), ABSENT, dtype=logits.dtype)
    most = min(known.shape[1], logits.shape[1])
    wide[:, :most] = logits[:, :most]
    found: np.ndarray = wide[known]
    return found


def tags_in_softmax(raw: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the logits of the words that have an output and a known tag [m, C], and these tags [m].

    Args:
        raw: Outputs [n, W, C].
        labels: Tags [n, W].
    """
    most = min(raw.shape[1], labels.shape[1])
    raw, labels = raw[:, :most], labels[:, :most]
    there = (labels != NO_CLASS) & ~(raw == ABSENT).all(axis=-1)
    return raw[there], labels[there].astype(np.int64)


def metric_mistakes(key: str, spec: MetricSpec, tags: Tags | None) -> Iterator[Mistake]:
    """Find metrics of entities without entities, or without the library that says what they are.

    Args:
        key: Recipe key of the task's metrics.
        spec: A metric.
        tags: The tags; None while they are not known.
    """
    if spec.name == "seqeval":
        yield Mistake(
            key, "the metric 'seqeval' reads texts of tags", "Write entity_f1: the same F1, by seqeval too."
        )
    if spec.name not in _ENTITY:
        return
    if importlib.util.find_spec("seqeval") is None:
        yield Mistake(key, f"{spec.name} needs seqeval, which is not installed", "pip install 'hf_mtl[tags]'")
    if tags is not None and tags.scheme == "plain":
        found = f"{spec.name} needs tags of entities, such as B-PER, and the task's have no prefixes"
        yield Mistake(key, found, "Write metrics: [accuracy, f1_macro]; or give labels with prefixes.")


def undefined_of_tags(spec: MetricSpec, labels: np.ndarray, tags: Tags) -> Iterator[tuple[str, str, str]]:
    """Find what becomes of a metric where no row has an entity.

    Args:
        spec: The metric.
        labels: Tags [n, W].
        tags: The task's tags.

    Yields:
        What becomes of it, why, and what to do.
    """
    if spec.name in _ENTITY and not np.append(tags.roles > 0, False)[np.where(labels == NO_CLASS, -1, labels)].any():
        yield "0 whatever is predicted", "none has an entity", _REMEDY
