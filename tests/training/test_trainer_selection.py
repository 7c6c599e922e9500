"""Which model is kept, and when training stops."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import EvalPrediction

from hf_mtl import MultiTaskModel, MultiTaskTrainer, Regression
from hf_mtl.errors import UserError
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.trainers import make, records

LESS_IS_BETTER = ("loss", "topic_loss", "score_rmse", "eval_score_mae_y")
MORE_IS_BETTER = ("average", "macro", "worst", "eval_average", "topic_f1_macro", "score_pearson_x")


def with_rmse() -> MultiTaskModel:
    metrics = ["pearson", "rmse", "mae"]
    return tiny.model(tasks={**tiny.TASKS, "score": Regression(label=["x", "y"], metrics=metrics)})


@pytest.mark.parametrize(
    "metric",
    some_fast((*MORE_IS_BETTER, *LESS_IS_BETTER), "average", "worst", "topic_f1_macro", "score_rmse"),
)
def test_the_best_model_is_loaded_at_the_end(tmp_path: Path, metric: str) -> None:
    trainer = make(
        tmp_path,
        model=with_rmse(),
        max_steps=5,
        learning_rate=2e-2,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
    )
    trainer.train()
    key = f"eval_{metric.removeprefix('eval_')}"
    values = records(trainer, key)
    assert len(set(values)) > 1, "training should change the scores"
    best = min(values) if metric in LESS_IS_BETTER else max(values)
    assert trainer.state.best_metric == best
    assert trainer.state.best_global_step == values.index(best) + 1
    assert trainer.evaluate()[key] == best


@pytest.mark.parametrize(
    "metric", some_fast(("average", "macro", "worst", "mood_f1_macro", "score_loss"), "average", "score_loss")
)
@pytest.mark.parametrize("save", ["no", "steps"])
def test_training_stops_when_nothing_gets_better(
    tmp_path: Path, metric: str, save: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(
        tmp_path,
        max_steps=9,
        learning_rate=0.0,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy=save,
        save_steps=1,
        metric_for_best_model=metric,
        early_stopping_patience=2,
    )
    said: list[str] = []
    monkeypatch.setattr("hf_mtl.training.trainer.trainer.logger.warning", said.append)
    trainer.train()
    assert trainer.state.global_step == 3  # one evaluation sets the mark, two do not pass it
    kept = "The model of the last step is kept; load_best_model_at_end=true keeps the best one."
    assert said == [f"Training ended after step 3 of 9: early stopping, as {metric} did not get better. {kept}"]
    state = trainer.stateful()["callbacks"].state_dict()
    counters = [attributes for name, attributes in state["callbacks"] if name == "EarlyStoppingCallback"]
    assert counters == [{"early_stopping_patience_counter": 2}]


def test_a_threshold_makes_small_gains_not_count(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "metric_for_best_model": "loss",
        "max_steps": 6,
    }
    trainer = make(tmp_path, early_stopping_patience=2, early_stopping_threshold=1e3, **options)
    trainer.train()
    assert trainer.state.global_step == 3


@pytest.mark.parametrize("metric", ["topic_f1_marco", "score_pearson", "topic_f1_macro_label", "runtime"])
def test_a_score_that_no_evaluation_has_is_refused_before_training(tmp_path: Path, metric: str) -> None:
    evaluation = {"topic": tiny.rows("topic", 30, seed=1)}
    options: dict[str, Any] = {"metric_for_best_model": metric, "eval_strategy": "steps", "eval_steps": 2}
    with pytest.raises(UserError, match=f"no score '{metric}'. Known: average, loss, macro, topic_f1_macro, topic_l"):
        make(tmp_path, evaluation=evaluation, **options)


@pytest.mark.parametrize("metric", ["topic_mine", "mood_mine", "mine", "topic_f1"])
def test_a_score_that_own_metrics_do_not_return_is_refused_before_training(tmp_path: Path, metric: str) -> None:
    evaluation = {"topic": tiny.rows("topic", 30, seed=1)}
    options: dict[str, Any] = {"metric_for_best_model": metric, "eval_strategy": "steps", "eval_steps": 2}
    told = []

    def own(found: EvalPrediction, task: str) -> dict[str, float]:
        told.append((task, found.predictions.shape, found.label_ids.shape))
        return {"mine": float((found.predictions.argmax(1) == found.label_ids).mean())}

    if metric == "topic_mine":
        make(tmp_path, evaluation=evaluation, compute_metrics=own, **options)
        assert told == [("topic", (30, 3), (30,))]
        return
    with pytest.raises(UserError, match=f"no score '{metric}'. Known: average, loss, macro, topic_f1_macro"):
        make(tmp_path, evaluation=evaluation, compute_metrics=own, **options)


def test_own_metrics_that_fail_on_made_up_predictions_may_return_any_score(tmp_path: Path) -> None:
    def own(found: EvalPrediction) -> dict[str, float]:
        raise ValueError("not of such predictions")

    make(tmp_path, compute_metrics=own, metric_for_best_model="topic_mine", eval_strategy="steps", eval_steps=2)


def test_a_trainer_with_its_own_evaluate_may_watch_any_score(tmp_path: Path) -> None:
    class Own(MultiTaskTrainer):
        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"eval_mine": np.float32(0.5)}

    every = {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "mine", "greater_is_better": True}
    trainer = make(tmp_path, cls=Own, evaluation={}, max_steps=1, **every)
    trainer.train()
    assert trainer.state.best_metric == 0.5
    assert type(trainer.state.best_metric) is float  # a checkpoint can keep it
