"""Entities that are right, as seqeval counts them: F1, precision and recall, of all types and of each."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import datasets

from hf_mtl.evaluation.metrics.base import LocalMetric


class _OfEntities(LocalMetric):
    """A metric of entities in sentences of tags; one is right if its type, first and last word are.

    Args:
        types: The types of entities.
        scheme: What seqeval calls the scheme: IOB2, IOBES or BILOU.

    Shape:
        predictions and references: sentences of names of tags -> one value, and one for each type.
    """

    greater_is_better = True
    outputs: ClassVar[str | tuple[str, ...]] = "tags"

    def __init__(self, types: Sequence[str], scheme: str = "IOB2"):
        super().__init__()
        self.types, self.scheme = list(types), scheme

    def _features(self) -> datasets.Features:
        sentence = datasets.Sequence(datasets.Value("string"))
        return datasets.Features({"predictions": sentence, "references": sentence})

    def compute(self, *, predictions: Any = (), references: Any = (), **kwargs: Any) -> dict[str, float]:
        """Compute the values; also of no sentences, which have no entity."""
        if not len(predictions):
            return self._compute(predictions=[], references=[])
        found: dict[str, float] = super().compute(predictions=predictions, references=references, **kwargs)
        return found

    def _compute(self, *, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        import seqeval.scheme  # the extra [tags]

        read = getattr(seqeval.scheme, self.scheme)
        found, true = (seqeval.scheme.Entities(lists, read) for lists in (predictions, references))
        counts = {kind: _counts(found.filter(kind), true.filter(kind)) for kind in self.types}
        total = [sum(numbers) for numbers in zip((0, 0, 0), *counts.values(), strict=True)]
        return {self.key: self.value(*total)} | {
            f"{self.key}_{kind}": self.value(*numbers) for kind, numbers in counts.items()
        }

    @staticmethod
    @abstractmethod
    def value(right: int, predicted: int, true: int) -> float:
        """Return the metric of the numbers of entities."""


def _counts(found: set[Any], true: set[Any]) -> tuple[int, int, int]:
    return len(found & true), len(found), len(true)


class EntityF1(_OfEntities):
    """F1 of entities, 2 right / (predicted + true), of all types together and of each, 0 where undefined; in [0, 1].

    Tags that break their scheme make no entity (seqeval's mode ``strict``).

    Source: `seqeval.metrics.f1_score(mode="strict", scheme=IOB2)`.

    Example:
        >>> EntityF1(["LOC"]).compute(predictions=[["B-LOC", "O", "B-LOC"]], references=[["B-LOC", "O", "O"]])
        {'entity_f1': 0.6666666666666666, 'entity_f1_LOC': 0.6666666666666666}
    """

    key = "entity_f1"

    @staticmethod
    def value(right: int, predicted: int, true: int) -> float:
        """Return the F1."""
        return 2 * right / max(1, predicted + true)


class EntityPrecision(_OfEntities):
    """Share of the predicted entities that are right, of all types together and of each, 0 where none is predicted.

    Source: `seqeval.metrics.precision_score(mode="strict", scheme=IOB2)`.

    Example:
        >>> EntityPrecision(["LOC"]).compute(predictions=[["B-LOC", "B-LOC"]], references=[["B-LOC", "O"]])
        {'entity_precision': 0.5, 'entity_precision_LOC': 0.5}
    """

    key = "entity_precision"

    @staticmethod
    def value(right: int, predicted: int, true: int) -> float:
        """Return the precision."""
        return right / max(1, predicted)


class EntityRecall(_OfEntities):
    """Share of the true entities that are predicted, of all types together and of each, 0 where there is none.

    Source: `seqeval.metrics.recall_score(mode="strict", scheme=IOB2)`.

    Example:
        >>> EntityRecall(["LOC"]).compute(predictions=[["B-LOC", "B-LOC"]], references=[["B-LOC", "O"]])
        {'entity_recall': 1.0, 'entity_recall_LOC': 1.0}
    """

    key = "entity_recall"

    @staticmethod
    def value(right: int, predicted: int, true: int) -> float:
        """Return the recall."""
        return right / max(1, true)
