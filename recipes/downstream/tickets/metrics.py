"""Metrics of counts, known to recipes by name."""

import numpy as np

from hf_mtl.evaluation.registry import Entry, register_metric


class WithinOne:
    """Share of the rows whose count is missed by one at most."""

    key = "within_one"
    wants_probabilities = False

    def compute(self, *, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        """Score predicted counts [n] against true ones [n]."""
        return {self.key: float((np.abs(predictions - references) <= 1).mean())}


class ExactCount:
    """Share of the rows whose count is right."""

    key = "exact_count"
    wants_probabilities = False

    def compute(self, *, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        """Score predicted counts [n] against true ones [n]."""
        return {self.key: float((predictions == references).mean())}


# Module, class, and which outputs it scores: those of the task types whose `outputs_are` says so.
register_metric("within_one", Entry(__name__, "WithinOne", "counts"))
register_metric("exact_count", Entry(__name__, "ExactCount", "counts"))
