"""Silhouette and adjusted Rand index against golden values, and where they say nothing."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.representations import cluster_agreement, silhouette
from hf_mtl.evaluation.representations.clusters import adjusted_rand

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_clustering.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    features, labels, clusters = (np.array(case["inputs"][key]) for key in ("features", "labels", "clusters"))
    found = {
        "silhouette_true_labels": silhouette(features, labels),
        "ari_clusters_vs_labels": adjusted_rand(clusters, labels),
    }
    assert found == pytest.approx(case["expected"], rel=GOLDEN["rtol"], abs=GOLDEN["atol"])


def test_classes_that_lie_apart_are_found_and_chance_is_about_0():
    random = np.random.default_rng(8)
    labels = random.integers(0, 3, size=90)
    apart = random.normal(size=(90, 4)) + 20 * labels[:, None]
    assert cluster_agreement(apart, labels) == 1
    assert silhouette(apart, labels) > 0.8
    assert abs(cluster_agreement(apart, random.permutation(labels))) < 0.1


@pytest.mark.parametrize("measure", [silhouette, cluster_agreement])
def test_one_class_says_nothing(measure):
    assert math.isnan(measure(np.eye(4), np.zeros(4)))
