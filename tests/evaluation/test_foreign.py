import evaluate
import numpy as np
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.evaluation import Trust, available_metrics, foreign_mistakes, load_metric, score_task
from hf_mtl.evaluation.foreign import needed_trust
from hf_mtl.tasks import MetricSpec


def task(name):
    return SequenceClassification(labels=2, metrics=["accuracy", MetricSpec(name=name, greater_is_better=True)])


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Metric scripts in the current folder, and a list of what `evaluate` was asked to load."""
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "user/metric", "matthews_correlation"):
        script = tmp_path / name / f"{name.split('/')[-1]}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("raise SystemExit('run')")
    (tmp_path / "mine.py").write_text("raise SystemExit('run')")
    asked = []

    def load(name, **options):
        asked.append(name)
        raise OSError("not a metric")

    monkeypatch.setattr(evaluate, "load", load)
    return asked


@pytest.mark.parametrize("trust", [Trust.OURS, Trust.CANONICAL])
@pytest.mark.parametrize(
    "name", ["./mine.py", "mine.py", "folder", "./folder", "user/metric", "matthews_correlation", "folder/../mine.py"]
)
def test_code_is_not_run_without_the_users_word(scripts, name, trust):
    with pytest.raises(DataError, match=r"tasks\.x\.metrics: .*allow_code=True"):
        score_task(task(name), "x", np.eye(2), np.array([0, 1]), trust=trust)
    with pytest.raises(DataError, match="allow_code=True"):
        load_metric(MetricSpec(name=name), task(name), trust=trust)
    assert scripts == []


def test_with_the_users_word_it_is_run(scripts):
    for name in ("./mine.py", "user/metric", "matthews_correlation"):
        with pytest.raises(DataError, match="could not be loaded by `evaluate`: not a metric"):
            load_metric(MetricSpec(name=name), task(name), trust=Trust.ANY)
    assert scripts == ["./mine.py", "user/metric", "matthews_correlation"]


def test_who_names_an_id_of_evaluate_decides():
    assert needed_trust("matthews_correlation") == Trust.CANONICAL
    assert {needed_trust(name) for name in available_metrics()} == {Trust.OURS}
    tasks = {"x": task("matthews_correlation")}
    assert foreign_mistakes(tasks, Trust.of(allow_code=False)) == []
    (mistake,) = foreign_mistakes(tasks, Trust.of(allow_code=False, named_by_user=False))
    assert "a file of the model or run names 'matthews_correlation'" in mistake.problem
    assert "or name the metric yourself" in mistake.remedy
    assert foreign_mistakes(tasks, Trust.of(allow_code=True, named_by_user=False)) == []


@pytest.mark.parametrize("name", ["a.b", "..", ".", "~", "a b", "-x", "", "ümlaut", "a\\b", "a//b", "c:x"])
def test_what_is_no_id_is_code(name):
    assert needed_trust(name) == Trust.ANY


def test_a_script_that_was_not_saved_with_the_model_is_said():
    (mistake,) = foreign_mistakes({"x": task("mine.py")}, Trust.OURS)
    assert "'mine.py', a script that is not saved with it" in mistake.problem
