"""What is kept of the outputs, and which process gets it."""

from pathlib import Path

import numpy as np
import pytest

from hf_mtl import MultiTaskTrainer
from hf_mtl.inference import predict as evaluate
from hf_mtl.inference.predict import KeptOutputs
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.scoring import scorer
from hf_mtl.training.scoring.scoring import needed
from tests import tiny
from tests.training.trainers import make


def test_logits_are_kept_where_something_wants_them() -> None:
    topic = tiny.TASKS["topic"]
    assert needed(topic, None) == KeptOutputs.to_score(topic)
    assert needed(topic, None).width == 2
    assert needed(topic, lambda found: {}).width == 3
    assert needed(topic.model_copy(update={"metrics": [MetricSpec(name="ece")]}), None).width == 3
    assert needed(tiny.TASKS["score"], None).width == 2


def test_predictions_and_scores_are_the_same_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny.datasets({"topic": 23, "mood": 9, "score": 11}, seed=4)
    trainer = make(tmp_path, per_device_eval_batch_size=4)
    whole, scores = trainer.predict(data), trainer.score(data)
    monkeypatch.setattr(evaluate, "PIECE", 1)
    again = trainer.predict(data)
    for name, found in whole.predictions.items():
        np.testing.assert_array_equal(again.predictions[name], found)
    assert trainer.score(data) == scores  # of classes alone
    assert scores.flat("test") == whole.metrics == again.metrics


def test_only_one_task_is_kept_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    predict, score = evaluate.Predictor.predict, scorer.score_split
    monkeypatch.setattr(
        evaluate.Predictor, "predict", lambda *args: order.append(f"predict {args[1]}") or predict(*args)
    )
    monkeypatch.setattr(scorer, "score_split", lambda *args: order.append(f"score {args[1]}") or score(*args))
    make(tmp_path).evaluate()
    assert order == [f"{verb} {name}" for name in ("topic", "mood", "score") for verb in ("predict", "score")]


def test_own_metrics_may_work_in_the_memory_of_their_predictions(tmp_path: Path) -> None:
    def spoil(found: object) -> dict[str, float]:
        found.predictions[:] = 0  # type: ignore[attr-defined]
        found.label_ids[:] = 0  # type: ignore[attr-defined]
        return {}

    data = tiny.datasets({"topic": 9})
    trainer: MultiTaskTrainer = make(tmp_path, compute_metrics=spoil, evaluation=data)
    found = trainer.predict(data)
    assert (found.predictions["topic"] != 0).any()
    assert found.label_ids["topic"].tolist() == list(data["topic"]["label"])
