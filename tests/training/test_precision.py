"""Training and evaluating in fewer bits: what is learned of the training rows, and the model, keep theirs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import MultiTaskModel, Regression
from hf_mtl.errors import UserError
from hf_mtl.modeling.heads import HEADS
from tests import tiny
from tests.training.trainers import make, parameters, same

TASKS = {"topic": tiny.TASKS["topic"], "year": Regression(label=["x"])}


def _data(seed: int) -> dict[str, Dataset]:
    """Years, which bfloat16 has in steps of 8."""
    score = tiny.rows("score", 24, seed)
    years = [1995.3 + 3 * (value - 3) for value in score["x"]]
    return {"topic": tiny.rows("topic", 24, seed), "year": Dataset.from_dict({"text": score["text"], "x": years})}


def _trainer(folder: Path, model: MultiTaskModel | None = None, **options: Any) -> Any:
    return make(folder, model=model or tiny.model(tasks=TASKS), train=_data(0), evaluation=_data(1), **options)


@pytest.mark.parametrize("option", ["bf16_full_eval", "fp16_full_eval"])
def test_an_evaluation_in_fewer_bits_is_close_and_leaves_the_model_as_it_was(tmp_path: Path, option: str) -> None:
    exact = _trainer(tmp_path)
    exact.train()
    trainer = _trainer(tmp_path, **{option: True})
    trainer.train()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    expected, found = exact.evaluate(), trainer.evaluate()
    assert found["eval_year_loss"] == pytest.approx(expected["eval_year_loss"], rel=0.01)
    assert found["eval_year_loss"] != expected["eval_year_loss"]  # it was cast
    predicted = [one.predict(_data(1)).predictions["year"] for one in (exact, trainer)]
    np.testing.assert_allclose(*predicted, atol=0.1)
    assert same(trainer.model.state_dict(), before)
    assert {tensor.dtype for tensor in parameters(trainer).values()} == {torch.float32}


def test_training_goes_on_after_it_as_if_nothing_had_been(tmp_path: Path) -> None:
    ends = []
    for option in ({}, {"bf16_full_eval": True}):
        trainer = _trainer(tmp_path, **option)
        for _ in range(2):
            trainer.train()
            trainer.evaluate()
        ends.append(parameters(trainer))
    assert same(*ends)


@pytest.mark.parametrize("head", HEADS.names())
def test_a_model_in_bfloat16_is_trained_saved_and_loaded(tmp_path: Path, head: str) -> None:
    trainer = _trainer(tmp_path, tiny.model(tasks=TASKS, head=head, dtype=torch.bfloat16), weighting="uw")
    before = parameters(trainer)
    trainer.train()
    assert not same(parameters(trainer), before)
    assert trainer.weighting.s.dtype == torch.float64
    statistics = trainer.model.heads.of("year").statistics
    assert float(statistics.mean) == pytest.approx(np.mean(_data(0)["year"]["x"]), rel=1e-6)
    trainer.save_model(str(tmp_path / "model"))
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert loaded.dtype == torch.bfloat16
    assert same(loaded.state_dict(), trainer.model.state_dict())


def test_cost_wants_float32(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"balancing\.aggregator: 'cost' measures .* torch\.bfloat16 .*Load the model"
    ):
        _trainer(tmp_path, tiny.model(tasks=TASKS, dtype="bfloat16"), balancing={"aggregator": "cost"})
