"""Metrics and the scores made of them.

Quick to import: `evaluate`, `sklearn` and `scipy` are imported when something is computed.
"""

from hf_mtl.evaluation.aggregates import DeltaP, aggregate, delta_p, lower_is_better, task_score
from hf_mtl.evaluation.baselines import baseline_scores
from hf_mtl.evaluation.checks import check_metrics
from hf_mtl.evaluation.keys import headline_keys, metric_keys
from hf_mtl.evaluation.loading import load_metric
from hf_mtl.evaluation.mixture_fit import MixtureFit, realised_vs_target
from hf_mtl.evaluation.registry import available_metrics, greater_is_better, metric_task_types
from hf_mtl.evaluation.scores import score_task

__all__ = [
    "DeltaP",
    "MixtureFit",
    "aggregate",
    "available_metrics",
    "baseline_scores",
    "check_metrics",
    "delta_p",
    "greater_is_better",
    "headline_keys",
    "load_metric",
    "lower_is_better",
    "metric_keys",
    "metric_task_types",
    "realised_vs_target",
    "score_task",
    "task_score",
]
