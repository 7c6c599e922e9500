"""Table of our metrics: name, place, which outputs they score, and whether more is better.

The table repeats what the classes say, because importing one of them imports `evaluate`, which takes seconds.
"""

from typing import NamedTuple

from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import MetricSpec, Task


class Entry(NamedTuple):
    """One line of the table: module and class of a metric, and what must be known without importing it.

    A module that begins with a dot is one of `hf_mtl.evaluation.metrics`. ``outputs`` is what the metric scores, as
    tasks say it in ``outputs_are``; all of them, where it scores several. ``takes_weights``: whether it minds the
    ``weights`` of rows that it is given.
    """

    module: str
    class_name: str
    outputs: str | tuple[str, ...]
    greater_is_better: bool = True
    wants_probabilities: bool = False
    takes_weights: bool = False

    def scores(self, outputs: str) -> bool:
        """Tell whether the metric scores such outputs."""
        return outputs in ((self.outputs,) if isinstance(self.outputs, str) else self.outputs)


_CLASSES = "classes"
_RANKS = "ranks"
_VALUES = "values"
_LABELS = "labels"
_SPANS = "spans"
_TAGS = "tags"
_CHOSEN = (_CLASSES, _RANKS, _TAGS)  # one class of several, whether or not they have an order
_NAMED = (*_CHOSEN, _LABELS)
_CHOICES = "choices"

_OURS: dict[str, Entry] = {
    "accuracy": Entry(".accuracy", "Accuracy", (*_CHOSEN, _CHOICES)),
    "f1": Entry(".f1", "F1", _NAMED),
    "f1_macro": Entry(".f1", "F1Macro", _NAMED),
    "f1_micro": Entry(".f1", "F1Micro", _NAMED),
    "f1_samples": Entry(".f1", "F1Samples", _LABELS),
    "recall_macro": Entry(".recall_macro", "RecallMacro", _CHOSEN),
    "matthews": Entry(".matthews", "Matthews", _CHOSEN),
    "auroc_macro": Entry(".auroc_macro", "AurocMacro", _CLASSES, wants_probabilities=True),
    "ece": Entry(".ece", "ECE", (_CLASSES, _CHOICES, _TAGS), greater_is_better=False, wants_probabilities=True),
    "entity_f1": Entry(".entities", "EntityF1", _TAGS),
    "entity_precision": Entry(".entities", "EntityPrecision", _TAGS),
    "entity_recall": Entry(".entities", "EntityRecall", _TAGS),
    "quadratic_weighted_kappa": Entry(".quadratic_weighted_kappa", "QuadraticWeightedKappa", _RANKS),
    "mean_average_precision": Entry(
        ".mean_average_precision", "MeanAveragePrecision", _LABELS, wants_probabilities=True
    ),
    "label_ranking_average_precision": Entry(
        ".label_ranking_average_precision", "LabelRankingAveragePrecision", _LABELS, wants_probabilities=True
    ),
    "squad_f1": Entry(".squad", "SquadF1", _SPANS),
    "squad_exact_match": Entry(".squad", "SquadExactMatch", _SPANS),
    "pearson": Entry(".correlation", "Pearson", _VALUES),
    "spearman": Entry(".correlation", "Spearman", _VALUES),
    "r2": Entry(".r2", "R2", _VALUES),
    "mse": Entry(".squared_error", "MSE", _VALUES, greater_is_better=False),
    "mse_z": Entry(".squared_error", "MSEZ", _VALUES, greater_is_better=False),
    "rmse": Entry(".squared_error", "RMSE", _VALUES, greater_is_better=False),
    "mae": Entry(".mae", "MAE", (_VALUES, _RANKS), greater_is_better=False),
}
_WITHOUT_WEIGHTS = frozenset({"spearman", "entity_f1", "entity_precision", "entity_recall"})

METRICS: dict[str, Entry] = {
    name: entry._replace(takes_weights=name not in _WITHOUT_WEIGHTS) for name, entry in _OURS.items()
}


LOOK_ALIKE = frozenset(
    {"exact_match", "mape", "mase", "mauve", "pearsonr", "smape", "spearmanr", "squad", "squad_v2"}
)
"""Metrics of `evaluate` whose names could be misspelt names of ours."""


def register_metric(name: str, entry: Entry) -> None:
    """Make a metric known, as one of hf_mtl's own is.

    Raises:
        ValueError: If another metric has the name.
    """
    if METRICS.setdefault(name, entry) != entry:
        raise ValueError(f"a metric '{name}' is registered already: {METRICS[name].class_name}")


def available_metrics() -> list[str]:
    """Names of our metrics, sorted."""
    return sorted(METRICS)


def suited_metrics(task: Task) -> list[str]:
    """Names of our metrics that can score a task, sorted."""
    return [name for name in available_metrics() if METRICS[name].scores(task.outputs_are)]


def greater_is_better(spec: MetricSpec) -> bool:
    """Tell whether a larger value is better: known for our metrics, said by the user for those of `evaluate`.

    Raises:
        DataError: If the metric is not one of ours and the user has not said.
    """
    if spec.name in METRICS:
        return METRICS[spec.name].greater_is_better
    if spec.greater_is_better is None:
        raise DataError(direction_unknown("metrics", spec))
    return spec.greater_is_better


def direction_unknown(key: str, spec: MetricSpec) -> Mistake:
    """Return the mistake of a metric that is not ours and that does not say which way is better."""
    if spec.is_script:
        remedy = f"Say it: {{name: {spec.name}, greater_is_better: true}}, or false"
        return Mistake(key, f"'{spec.name}' does not say whether more of it is better", remedy)
    remedy = (
        f"{known(METRICS, spec.name)} An id of `evaluate` works too, with its direction: "
        f"{{name: {spec.name}, greater_is_better: true}}"
    )
    return Mistake(key, f"unknown metric '{spec.name}'", remedy)


def without_weights(key: str, spec: MetricSpec) -> Mistake | None:
    """Return the mistake of a metric that takes no weights of rows; None: it takes them.

    Args:
        key: Recipe key of the task's metrics.
        spec: The metric.
    """
    if spec.name in METRICS and METRICS[spec.name].takes_weights:
        return None
    taking = ", ".join(name for name in available_metrics() if METRICS[name].takes_weights)
    remedy = f"Leave out weighted_metrics or the metric. Metrics that take weights: {taking}"
    return Mistake(key, f"'{spec.name}' takes no weights, and weighted_metrics is true", remedy)
