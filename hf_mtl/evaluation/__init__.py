"""Metrics and the scores made of them.

Quick to import: `evaluate`, `sklearn` and `scipy` are imported when something is computed.
"""

from hf_mtl.evaluation.aggregates import DeltaP, aggregate, delta_p, lower_is_better, task_score
from hf_mtl.evaluation.baselines import baseline_outputs, baseline_predictions, baseline_scores
from hf_mtl.evaluation.calibration import (
    ReliabilityBins,
    calibration_temperature,
    expected_calibration_error,
    reliability_bins,
)
from hf_mtl.evaluation.checks import check_metrics
from hf_mtl.evaluation.foreign import Trust, foreign_mistakes
from hf_mtl.evaluation.keys import headline_keys, metric_keys, score_keys
from hf_mtl.evaluation.loading import load_metric
from hf_mtl.evaluation.notes import score_notes
from hf_mtl.evaluation.outputs import ClassOutputs, PlainOutputs, wants_logits
from hf_mtl.evaluation.registry import available_metrics, greater_is_better, suited_metrics
from hf_mtl.evaluation.scores import score_task
from hf_mtl.evaluation.trial import try_metrics
from hf_mtl.evaluation.undefined import undefined_metrics

__all__ = [
    "ClassOutputs",
    "DeltaP",
    "PlainOutputs",
    "ReliabilityBins",
    "Trust",
    "aggregate",
    "available_metrics",
    "baseline_outputs",
    "baseline_predictions",
    "baseline_scores",
    "calibration_temperature",
    "check_metrics",
    "delta_p",
    "expected_calibration_error",
    "foreign_mistakes",
    "greater_is_better",
    "headline_keys",
    "load_metric",
    "lower_is_better",
    "metric_keys",
    "reliability_bins",
    "score_keys",
    "score_notes",
    "score_task",
    "suited_metrics",
    "task_score",
    "try_metrics",
    "undefined_metrics",
    "wants_logits",
]
