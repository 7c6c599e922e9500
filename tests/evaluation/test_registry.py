import subprocess
import sys

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.evaluation import available_metrics, greater_is_better, suited_metrics
from hf_mtl.tasks import MetricSpec, task_types


def test_evaluation_imports_without_evaluate_and_sklearn():
    code = "import sys, hf_mtl.evaluation; sys.exit(bool({'evaluate', 'sklearn', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_names_are_sorted_and_each_suits_one_kind_of_outputs():
    names = available_metrics()
    assert names == sorted(names)
    assert {"f1_macro", "pearson", "mse_z"} <= set(names)
    of_type = [set(suited_metrics(kind.model_construct())) for kind in task_types().values()]
    assert set().union(*of_type) == set(names)
    assert not set(suited_metrics(SequenceClassification())) & set(suited_metrics(Regression()))


def test_direction_is_known_for_ours_and_said_for_others():
    assert greater_is_better(MetricSpec(name="pearson"))
    assert not greater_is_better(MetricSpec(name="rmse"))
    assert not greater_is_better(MetricSpec(name="brier_score", greater_is_better=False))
    with pytest.raises(DataError, match="greater_is_better: true"):
        greater_is_better(MetricSpec(name="brier_score"))
    with pytest.raises(DataError, match=r"'\./own\.py' does not say whether more of it is better"):
        greater_is_better(MetricSpec(name="./own.py"))
