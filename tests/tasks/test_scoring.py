"""The answers about scores of a task that has nothing special, where its type gives none."""

import numpy as np

from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.tasks import MetricSpec
from tests.task_types.independent import IndependentLabels

TASK = IndependentLabels(label=["a", "b"])
LABELS = np.zeros((3, 2))


def test_all_outputs_are_kept_and_put_together() -> None:
    assert TASK.compact() is None
    found = TASK.gathered([np.ones((2, 2)), np.zeros((1, 2))])
    assert isinstance(found, PlainOutputs)
    assert found.values.tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_no_metric_has_options_or_is_undefined() -> None:
    spec = MetricSpec(name="exact_match")
    assert TASK.metric_options(spec, {}, "metrics") == TASK.training_statistics(LABELS) == {}
    assert not [*TASK.metric_mistakes("metrics", spec), *TASK.undefined(spec, LABELS), *TASK.absent(LABELS)]
