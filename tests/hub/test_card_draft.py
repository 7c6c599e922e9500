"""The Trainer's draft of a card, which multiplies the rows of an evaluation batch, also where tokens make it."""

from pathlib import Path

import pytest

from tests.training.trainers import make


@pytest.mark.parametrize("rows", [None, 3])
def test_a_card_can_be_drafted_where_tokens_make_the_batches_of_evaluation(tmp_path: Path, rows: int | None) -> None:
    trainer = make(tmp_path, per_device_eval_batch_size=rows)
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "- train_batch_size: " in card
    assert ("- eval_batch_size: 3" in card, "eval_batch_size" in card) == (rows == 3, rows == 3)
    assert trainer.args.per_device_eval_batch_size == rows
