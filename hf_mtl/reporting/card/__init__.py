"""The model card of a run: a pure function of its results, its recipe and its tasks."""

from hf_mtl.reporting.card.card import model_card
from hf_mtl.reporting.card.facts import CardFacts, Source, sources_of
from hf_mtl.reporting.card.metadata import benchmark_entries

__all__ = ["CardFacts", "Source", "benchmark_entries", "model_card", "sources_of"]
