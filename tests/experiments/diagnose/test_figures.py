"""Figures of a diagnosis: their words are in the picture also where one is small."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.experiments.diagnose.curves import clusters_figure, likeness_figure, probes_figure, subspaces_figure
from hf_mtl.experiments.diagnose.figures import cka_figure, early_figure, heads_figure
from tests.drawn import assert_words_fit, keep_figures

RUN, OTHER = "study/ew/seed-0", "study/single_task/seed-1/sentiment"
LAYERS = [1.0, 0.8, 0.5]
LIKE = {"linear": np.eye(3), "debiased": np.eye(3)}
PAIR = {"a": RUN, "b": OTHER, **LIKE, "by_task": {"sentiment": LAYERS}}
HEADS = {"run": RUN, "tasks": ["sentiment", "similarity"], "debiased": np.eye(2)}
ALIGNED = [{"mean_squared_cosine": value, "chance": 0.1} for value in LAYERS]
WITHIN = {"a": (RUN, "sentiment"), "b": (RUN, "similarity"), "layers": ALIGNED}
BETWEEN = {"a": (RUN, "sentiment"), "b": (OTHER, "sentiment"), "layers": ALIGNED}
PROBE = {"run": RUN, "task": "sentiment", "metric": "accuracy", "layers": LAYERS, "model": 0.9, "chance": 0.5}
CLUSTERS = {"run": RUN, "task": "sentiment", "silhouette": LAYERS, "ari": LAYERS, "head": None}
EARLY = {"run": RUN, "task": "sentiment", "score": 0.5, "loss": 1.0, "fall": 0.3, "final": 0.7}
UNKNOWN = {key: {"spearman": float("nan"), "n": 1} for key in ("score", "loss", "fall")}


@pytest.mark.parametrize(
    ("draw", "items"),
    [
        (cka_figure, [{**PAIR, "b": RUN}]),
        (cka_figure, [PAIR] * 3),
        (heads_figure, [HEADS]),
        (likeness_figure, [PAIR]),
        (subspaces_figure, [WITHIN]),
        (subspaces_figure, [BETWEEN]),
        (probes_figure, [{**PROBE, "train_rows": 500, "rows": 500}]),
        (clusters_figure, [CLUSTERS]),
        (early_figure, [{**EARLY, "correlations": UNKNOWN}]),
        (early_figure, [{**EARLY, "score": float("nan"), "fall": float("nan"), "correlations": UNKNOWN}]),
    ],
)
def test_words_fit_into_the_smallest_figure_of_each_kind(
    draw: Any, items: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = keep_figures(monkeypatch)
    draw(tmp_path / "x.png", items)
    assert_words_fit(saved[0])
