import subprocess
import sys

import pytest

from hf_mtl.errors import DataError
from hf_mtl.evaluation import available_metrics, greater_is_better, metric_task_types
from hf_mtl.tasks import TASK_TYPES, MetricSpec


def test_evaluation_imports_without_evaluate_and_sklearn():
    code = "import sys, hf_mtl.evaluation; sys.exit(bool({'evaluate', 'sklearn', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_names_are_sorted_and_each_suits_a_known_task_type():
    names = available_metrics()
    assert names == sorted(names)
    assert {"f1_macro", "pearson", "mse_z"} <= set(names)
    for name in names:
        assert metric_task_types(name) <= TASK_TYPES.keys()
        assert metric_task_types(name)


def test_unknown_name_is_refused_with_the_nearest_spelling():
    with pytest.raises(DataError, match=r"unknown metric 'f1_marco'.*Did you mean 'f1_macro'\?"):
        metric_task_types("f1_marco")


def test_direction_is_known_for_ours_and_said_for_others():
    assert greater_is_better(MetricSpec(name="pearson"))
    assert not greater_is_better(MetricSpec(name="rmse"))
    assert not greater_is_better(MetricSpec(name="brier_score", greater_is_better=False))
    with pytest.raises(DataError, match="greater_is_better: true"):
        greater_is_better(MetricSpec(name="brier_score"))
    with pytest.raises(DataError, match=r"'\./own\.py' does not say whether more of it is better"):
        greater_is_better(MetricSpec(name="./own.py"))
