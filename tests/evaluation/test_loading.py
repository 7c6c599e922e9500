import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.evaluation import Trust, load_metric, score_task
from hf_mtl.tasks import MetricSpec

STANCE = SequenceClassification(labels=["none", "against", "favor"])


def test_class_names_become_ids():
    metric = load_metric(MetricSpec(name="f1", labels=["against", 2]), STANCE)
    assert metric.labels == [1, 2]


def test_classes_are_checked_again_once_they_are_known():
    with pytest.raises(
        DataError, match=r"tasks\.x\.metrics: f1: unknown class 'pro'\. Classes: against, favor, none"
    ):
        load_metric(MetricSpec(name="f1", labels=["pro"]), STANCE, key="tasks.x.metrics")


def test_a_metric_of_another_task_type_is_refused():
    with pytest.raises(DataError, match="'pearson' cannot score a task of type sequence_classification"):
        load_metric(MetricSpec(name="pearson"), STANCE)


def test_mse_z_asks_for_the_training_statistics():
    with pytest.raises(DataError, match="statistics"):
        load_metric(MetricSpec(name="mse_z"), Regression())


def test_an_id_that_cannot_be_loaded_is_the_users_mistake_and_ours_are_named(tmp_path):
    spec = MetricSpec(name=str(tmp_path / "f1_marco.py"), greater_is_better=True)
    with pytest.raises(DataError) as caught:
        load_metric(spec, STANCE, key="tasks.x.metrics", trust=Trust.ANY)
    (mistake,) = caught.value.mistakes
    assert mistake.key == "tasks.x.metrics"
    assert "f1_marco.py' could not be loaded" in mistake.problem
    assert "f1_macro" in mistake.remedy


def test_a_local_script_is_scored_beside_ours(metric_script):
    path = metric_script(
        "agreement", 'return {"other": 0.0, "agreement": sum(map(int.__eq__, predictions, references))}', "int64"
    )
    task = SequenceClassification(labels=2, metrics=["accuracy", {"name": path, "greater_is_better": True}])
    scores = score_task(
        task, "x", np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1]), trust=Trust.ANY
    )
    assert scores == {"accuracy": pytest.approx(2 / 3), "agreement": 2.0}


def test_a_loaded_metric_is_computed_for_each_target(metric_script):
    path = metric_script("bias", "return {'value': sum(predictions) - sum(references)}")
    task = Regression(label=["V", "A"], metrics=[{"name": path, "greater_is_better": False}])
    scores = score_task(
        task, "x", np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), trust=Trust.ANY
    )
    assert scores == {"bias": 5.5, "bias_V": 3.0, "bias_A": 8.0}


def test_a_loaded_metric_that_fails_is_named(metric_script):
    path = metric_script("broken", "raise RuntimeError('cannot do')")
    task = Regression(metrics=[{"name": path, "greater_is_better": True}])
    with pytest.raises(DataError, match=r"tasks\.x\.metrics: the id '.*broken.py' could not be computed .*cannot do"):
        score_task(task, "x", np.ones((2, 1)), np.ones((2, 1)), trust=Trust.ANY)
