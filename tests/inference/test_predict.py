"""What is kept of the outputs, and which process gets it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer
from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.inference import predict as evaluate
from hf_mtl.inference.predict import KeptOutputs
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.scoring import scorer
from hf_mtl.training.scoring.scoring import needed
from tests import tiny
from tests.data.encoding import encode_split
from tests.training.trainers import make


def test_logits_are_kept_where_something_wants_them() -> None:
    topic, rows = (
        tiny.TASKS["topic"],
        encode_split("mood", tiny.TASKS["mood"], tiny.rows("mood", 3), tiny.tokenizer()),
    )
    assert needed(topic, rows, None).width == KeptOutputs.to_score(topic, rows).width == 2
    assert needed(topic, rows, lambda found: {}).width == 3
    assert needed(topic.model_copy(update={"metrics": [MetricSpec(name="ece")]}), rows, None).width == 3
    assert needed(tiny.TASKS["score"], rows, None).width == 2


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


@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
def test_scores_do_not_depend_on_the_size_of_batches(tmp_path: Path, layout: str) -> None:
    data, model = tiny.datasets({"topic": 23, "mood": 9, "score": 11}, seed=4), tiny.model()
    expected = make(tmp_path, model=model, per_device_eval_batch_size=1).predict(data)
    for sizes in ((None, None), (None, 1), (None, 40), (3, 40), (7, None)):
        options = dict(zip(("per_device_eval_batch_size", "eval_tokens_per_batch"), sizes, strict=True))
        found = make(tmp_path, model=model, encoder_layout=layout, **options).predict(data)
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-5)
        for name, outputs in expected.predictions.items():
            np.testing.assert_allclose(found.predictions[name], outputs, atol=1e-5)


class Steps(TrainerCallback):
    """Counts batches at evaluation, and what the progress bar is told."""

    seen = 0
    told = 0

    def on_prediction_step(self, *args: Any, eval_dataloader: Any = None, **kwargs: Any) -> None:
        self.seen, self.told = self.seen + 1, len(eval_dataloader)


def test_progress_knows_how_many_batches_there_are(tmp_path: Path) -> None:
    steps = Steps()
    make(tmp_path, callbacks=[steps], per_device_eval_batch_size=None, eval_tokens_per_batch=40).evaluate()
    assert steps.seen == steps.told > 3


@pytest.mark.parametrize("most", [1, 5, 6, 100])
def test_pieces_hold_so_many_rows_of_each_process_or_one_batch(most: int) -> None:
    dealt = [[np.arange(3), np.arange(2), np.arange(7)], [np.arange(1), np.arange(4)]]
    pieces = list(evaluate._pieces(dealt, most))
    for rank, batches in enumerate(dealt):
        assert [batch.tolist() for piece in pieces for batch in piece[rank]] == [batch.tolist() for batch in batches]
    assert all(len(piece[0]) == 1 or max(sum(map(len, batches)) for batches in piece) <= most for piece in pieces)
    assert len(pieces) == {1: 3, 5: 2, 6: 2, 100: 1}[most]
    in_turns = list(evaluate._pieces(dealt, most, most_batches=2))
    assert len(in_turns) == {1: 3, 5: 2, 6: 2, 100: 2}[most]
    assert [batch.tolist() for piece in in_turns for batch in piece[0]] == [batch.tolist() for batch in dealt[0]]


@pytest.mark.parametrize("together", [False, True])
def test_processes_that_take_turns_make_as_many_forwards(together: bool) -> None:
    split = encode_split("mood", tiny.TASKS["mood"], tiny.rows("mood", 3), tiny.tokenizer())
    kept = KeptOutputs.outputs(tiny.TASKS["mood"], split, everywhere=True)
    forwards = []
    for rank in range(2):
        made: list[int] = []
        alone: Any = SimpleNamespace(
            rank=rank, world=2, device=torch.device("cpu"), gather=lambda piece: torch.stack([piece, piece])
        )
        predictor = evaluate.Predictor(lambda **batch: None, BatchLimit(rows=1), alone, lambda: True, together)

        def run(rows: Any, made: list[int] = made) -> torch.Tensor:
            made.append(len(rows))
            return torch.zeros(len(rows), 3)

        predictor._run_in_pieces(run, split, kept)
        forwards.append(len(made))
    assert forwards == ([2, 2] if together else [2, 1])


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
