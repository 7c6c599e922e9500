"""Whether rows of one class lie together among features."""

import math
import warnings

import numpy as np

STARTS = 10
"""Starts of k-means, of which the best is taken."""


def silhouette(features: np.ndarray, labels: np.ndarray) -> float:
    """Compute the mean silhouette of the true classes, with Euclidean distances: scikit-learn's `silhouette_score`.

    Args:
        features: Features [n, H].
        labels: Class of each row, [n].

    Returns:
        A number in [-1, 1]; NaN where there is one class alone, or each row has its own.
    """
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(labels)) < len(labels):
        return math.nan
    return float(silhouette_score(features, labels))


def cluster_agreement(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Cluster features into as many groups as there are classes, and compare both by the adjusted Rand index.

    The groups are those of scikit-learn's `KMeans` with 10 starts.

    Args:
        features: Features [n, H].
        labels: Class of each row, [n].
        seed: Seed of k-means.

    Returns:
        1 where they are the same, about 0 by chance; NaN where there is one class alone, or there are more than rows.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    classes = len(np.unique(labels))
    if not 1 < classes <= len(labels):
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than classes: its groups are those
        found = KMeans(classes, n_init=STARTS, random_state=seed).fit_predict(np.asarray(features, dtype=np.float64))
    return adjusted_rand(found, labels)


def adjusted_rand(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Compare two partitions of the same rows: scikit-learn's `adjusted_rand_score`.

    Args:
        clusters: Group of each row, [n].
        labels: Class of each row, [n].
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, clusters))
