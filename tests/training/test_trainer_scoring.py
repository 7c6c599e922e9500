"""Evaluation and prediction, as a user of `transformers.Trainer` expects them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EvalPrediction

from hf_mtl import MultiTaskModel
from tests import tiny
from tests.training.trainers import make


def by_hand(model: MultiTaskModel, task: str, texts: list[str]) -> np.ndarray:
    """The head's outputs for one text at a time."""
    model.eval()
    tokenizer = tiny.tokenizer()
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt"), task=task).logits[task][0] for text in texts]
    return torch.stack(rows).numpy()


def test_predictions_are_in_dataset_order(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 23, "mood": 9, "score": 11}, seed=4)
    trainer = make(tmp_path, per_device_eval_batch_size=4)
    trainer.train()
    output = trainer.predict(data)
    assert list(output.predictions) == list(output.label_ids) == ["topic", "mood", "score"]
    for name, dataset in data.items():
        expected = by_hand(trainer.model, name, dataset["text"])
        np.testing.assert_allclose(output.predictions[name], expected, rtol=1e-4, atol=1e-5)
    assert output.label_ids["topic"].tolist() == list(data["topic"]["label"])
    assert output.label_ids["score"][:, 1].tolist() == list(data["score"]["y"])
    assert output.metrics["test_average"] == trainer.evaluate(data)["eval_average"]


def test_rows_without_labels_can_be_predicted(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 9, "mood": 6}, seed=4)
    trainer = make(tmp_path)
    labelled = trainer.predict(data)
    bare = trainer.predict({"topic": data["topic"].select_columns("text"), "mood": data["mood"]})
    np.testing.assert_array_equal(bare.predictions["topic"], labelled.predictions["topic"])
    assert list(bare.label_ids) == ["mood"]
    assert "test_mood_f1_macro" in bare.metrics
    assert not any(key.startswith("test_topic") for key in bare.metrics)


def test_nothing_labelled_gives_no_scores(tmp_path: Path) -> None:
    output = make(tmp_path).predict({"mood": tiny.rows("mood", 5).select_columns("text")})
    assert output.predictions["mood"].shape == (5, 2)
    assert output.label_ids == {}
    assert not [key for key in output.metrics if "mood" in key or "average" in key]


def test_own_metrics_join_those_of_each_task(tmp_path: Path) -> None:
    shapes = []

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        shapes.append((prediction.predictions.shape, prediction.label_ids.shape))
        return {"mine": float(len(shapes))}

    trainer = make(tmp_path, compute_metrics=metrics)
    scores = trainer.evaluate()
    assert shapes == [((30, 3), (30,)), ((12, 2), (12,)), ((18, 2), (18, 2))]
    assert [scores[f"eval_{name}_mine"] for name in tiny.TASKS] == [1.0, 2.0, 3.0]
    assert "eval_topic_f1_macro" in scores


def test_evaluation_while_training_equals_that_of_the_saved_model(tmp_path: Path) -> None:
    trainer = make(tmp_path, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4)
    trainer.train()
    during = next(record for record in trainer.state.log_history if "eval_average" in record)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-4")
    after = make(tmp_path / "again", model=loaded).evaluate()
    timeless = {k: v for k, v in after.items() if k != "epoch" and "runtime" not in k and "per_second" not in k}
    assert {key: during[key] for key in timeless} == timeless


def test_evaluation_does_not_depend_on_its_batches(tmp_path: Path) -> None:
    model = tiny.model()
    one, many = (make(tmp_path, model=model, per_device_eval_batch_size=size).evaluate() for size in (1, 64))
    for key in ("eval_average", "eval_topic_loss", "eval_score_pearson"):
        assert one[key] == pytest.approx(many[key], rel=1e-4)
