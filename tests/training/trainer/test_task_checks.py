"""What is wrong with metrics and scores is found when a Trainer is made, with nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import pytest
import yaml

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.tasks import Task
from hf_mtl.training import run_recipe
from hf_mtl.training.trainer import task_checks
from tests import tiny
from tests.training import runs
from tests.training.trainers import make

EVERY: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}


def model(**changed: Task) -> MultiTaskModel:
    return tiny.model(tasks={**tiny.TASKS, **changed})


def topic(*metrics: Any) -> SequenceClassification:
    return SequenceClassification(labels=["a", "b", "c"], metrics=list(metrics))


def score(*metrics: Any, **options: Any) -> Regression:
    return Regression(**{"label": ["x", "y"], "metrics": list(metrics), **options})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"topic": topic("f1_marco")}, ["tasks.topic.metrics: unknown metric 'f1_marco'"]),
        ({"topic": topic("pearson", "accuracy")}, ["tasks.topic.metrics: the metric 'pearson' cannot score a task"]),
        ({"topic": topic()}, ["tasks.topic.metrics: no metric of which more is better, found: none"]),
        ({"score": score("mse")}, ["tasks.score.metrics: no metric of which more is better, found: mse"]),
        ({"score": score("r2", "r2")}, ["tasks.score.metrics: the same metric twice"]),
        ({"topic": topic("f1")}, ["tasks.topic.metrics: f1 without labels, and 3 classes"]),
        ({"topic": topic({"name": "f1", "labels": ["a", 0]})}, ["tasks.topic.metrics: f1: the class 'a' twice"]),
        ({"score": score("r2", "mse_z", standardize=False)}, ["tasks.score.metrics: mse_z with standardize: false"]),
        ({"score": score("r2", label=["x", "x"])}, ["tasks.score.label: found ['x', 'x'], the same column twice"]),
        (
            {"score": score("r2", label=["x", "text"])},
            ["tasks.score.label: the column 'text' is both text and label"],
        ),
        ({"topic": topic("./mine.py")}, ["'./mine.py' does not say whether", "'./mine.py' is code of your own"]),
        (
            {"topic": topic("f1_marco"), "score": score("mse")},
            ["tasks.topic.metrics: unknown metric", "tasks.score.metrics: no metric"],
        ),
    ],
)
def test_metrics_and_columns_that_cannot_be_used_are_refused_together(
    tmp_path: Path, changed: dict[str, Task], said: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        make(tmp_path / "run", model=model(**changed), **EVERY)
    assert len(caught.value.mistakes) == len(said)
    assert all(part in str(mistake) for part, mistake in zip(said, caught.value.mistakes, strict=True))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [EVERY, {}])
def test_a_misspelt_best_metric_is_refused_also_where_nothing_is_evaluated(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"no score 'topic_f1'\. Known: .* Did you mean 'topic_f1_macro'\?"):
        make(tmp_path / "run", metric_for_best_model="topic_f1", **options)


def test_evaluations_without_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^training.eval_strategy: is 'steps', and no task has rows to eval"):
        make(tmp_path / "run", evaluation={}, **EVERY)
    assert not (tmp_path / "run").exists()


def test_tasks_without_evaluation_rows_are_named_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(task_checks.logger, "warning", said.append)
    make(tmp_path, evaluation={"topic": tiny.rows("topic", 30)}, **EVERY)
    assert said == [
        "mood, score: no evaluation rows, so no scores; average, macro and worst are those of the other tasks."
    ]


# ---- Metrics that are not ours ----


def metric(path: str) -> dict[str, Any]:
    return {"name": path, "greater_is_better": True}


def allowed(folder: Path, name: str, **options: Any) -> Any:
    return make(folder / "run", model=model(topic=topic("accuracy", metric(name))), allow_code=True, **options)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("failing", "raise RuntimeError('of no use')", "could not be computed by `evaluate`: of no use"),
        ("listing", "return {'each': [0.5, 0.5]}", "could not be computed by `evaluate`: "),
    ],
)
def test_a_metric_that_cannot_score_the_task_is_refused_before_training(
    tmp_path: Path, metric_script: Callable[..., str], name: str, body: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        allowed(tmp_path, metric_script(name, body, "int64"))
    assert not (tmp_path / "run").exists()


def test_a_metric_that_cannot_be_loaded_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tasks\.topic\.metrics: the id './absent\.py' could not be loaded"):
        allowed(tmp_path, "./absent.py")


def test_a_run_uses_what_was_loaded_before_it_began(tmp_path: Path, metric_script: Callable[..., str]) -> None:
    name = metric_script("steady", "return {'steady': float(len(references))}", "int64")
    trainer = allowed(tmp_path, name, max_steps=1, **EVERY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load", None)  # as without a network
        trainer.train()
        assert trainer.evaluate()["eval_topic_steady"] == trainer.state.log_history[-1]["eval_topic_steady"] == 30.0
    metric_script("steady", "return {'steady': 7.0}", "int64")
    assert allowed(tmp_path, name).evaluate()["eval_topic_steady"] == 7.0  # a new Trainer reads it anew


def test_a_recipes_script_is_found_beside_it_and_tried_before_anything_is_written(
    tmp_path: Path, metric_script: Callable[..., str]
) -> None:
    with runs.own_cache(tmp_path):
        recipe = runs.write_recipe(tmp_path / "recipes", max_steps=1, eval_steps=1, save_steps=1)
        content = yaml.safe_load(recipe.read_text())
        metric_script("beside", "raise RuntimeError('of no use')", "int64", recipe.parent)
        content["tasks"]["topic"]["metrics"] = ["accuracy", metric("beside.py")]
        recipe.write_text(yaml.safe_dump(content))
        said = r"recipe\.yaml:\d+: tasks\.topic\.metrics: .*recipes/beside.py' could not be computed.*: of no use"
        with pytest.raises(UserError, match=said):
            run_recipe(recipe, [f"training.output_dir={tmp_path / 'run'}"], allow_code=True)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
