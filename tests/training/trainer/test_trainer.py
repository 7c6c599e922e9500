"""Options of `transformers.Trainer`, and data of all kinds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.tasks import Task
from tests import tiny
from tests.training.trainers import SMALL, make, parameters, records


def test_bf16_trains_and_evaluates_on_cpu(tmp_path: Path) -> None:
    # Few shapes: bf16 kernels are compiled for each.
    options: dict[str, Any] = {"weighting": "uw", "max_steps": 2, "encoder_layout": "padded"}
    options["evaluation"] = {"mood": tiny.rows("mood", 12)}
    trainer, exact = make(tmp_path, bf16=True, **options), make(tmp_path, **options)
    for run in (trainer, exact):
        run.train()
    assert {value.dtype for value in parameters(trainer).values()} == {torch.float32}
    losses, wanted = records(trainer, "loss"), records(exact, "loss")
    assert losses != wanted, "nothing was computed in bf16"
    assert losses == pytest.approx(wanted, rel=0.1)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(exact.evaluate()["eval_loss"], rel=0.1)


def test_accumulation_and_gradient_checkpointing_work_together(tmp_path: Path) -> None:
    plain = make(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    saving = make(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2, gradient_checkpointing=True)
    for run in (plain, saving):
        run.train()
    assert records(saving, "loss") == pytest.approx(records(plain, "loss"), rel=1e-5)


def test_what_a_call_left_in_the_tokenizer_is_saved_with_no_model(tmp_path: Path) -> None:
    trainer = make(tmp_path / "run", max_steps=1, save_strategy="steps", save_steps=1)
    tokenizer = trainer.processing_class
    tokenizer("w1", "w2 " * 30, truncation="only_second", max_length=8, padding="max_length")
    trainer.train()
    trainer.save_model(str(tmp_path / "model"))
    assert tokenizer.backend_tokenizer.truncation is not None
    tiny.tokenizer().save_pretrained(tmp_path / "fresh")
    for folder in (tmp_path / "model", tmp_path / "run" / "checkpoint-1"):
        for file in (tmp_path / "fresh").iterdir():
            assert (folder / file.name).read_bytes() == file.read_bytes()


# ---- Data of all kinds ----


def test_a_pair_of_texts_has_token_types(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [[" ".join(random.choice(tiny.WORDS, 4)) for _ in range(16)] for _ in range(2)]
    pairs = Dataset.from_dict({"premise": texts[0], "hypothesis": texts[1], "label": [i % 2 for i in range(16)]})
    tasks: dict[str, Task] = {
        "pair": SequenceClassification(text=["premise", "hypothesis"], labels=["no", "yes"]),
        "mood": tiny.TASKS["mood"],
    }
    data = {"pair": pairs, "mood": tiny.rows("mood", 16)}
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), train=data, evaluation=data)
    trainer.train()
    found = trainer.predict({"pair": pairs}).predictions["pair"]
    encoded = tiny.tokenizer()(*texts, return_tensors="pt")
    assert encoded["token_type_ids"].max() == 1
    trainer.model.eval()
    with torch.no_grad():
        expected = trainer.model(**encoded, task="pair").logits["pair"].numpy()
        without = trainer.model(encoded["input_ids"], encoded["attention_mask"], task="pair").logits["pair"].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert abs(found - without).max() > 1e-3


def test_tasks_may_have_very_different_sizes(tmp_path: Path) -> None:
    data = {"topic": tiny.rows("topic", 60), "mood": tiny.rows("mood", 2), "score": tiny.rows("score", 1)}
    trainer = make(tmp_path, train=data, evaluation=tiny.datasets(SMALL, seed=1), max_steps=-1, num_train_epochs=2)
    trainer.train()
    assert trainer.state.global_step == 16  # ceil(63 / 8) twice
    assert np.isfinite(records(trainer, "loss")).all()
    assert np.isfinite(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("weighting", ["ew", "uw"])
def test_a_step_may_have_fewer_rows_than_tasks(tmp_path: Path, rows: int, weighting: str) -> None:
    trainer = make(tmp_path, per_device_train_batch_size=rows, max_steps=12, weighting=weighting)
    trainer.train()
    assert np.isfinite(records(trainer, "loss")).all()
    for name in tiny.TASKS:
        assert 0 < len(records(trainer, f"loss/{name}")) < 12, "absent from some steps"
    assert sum(records(trainer, f"passes/{name}")[-1] * SMALL[name] for name in SMALL) == pytest.approx(12 * rows)


def test_a_plain_dataset_is_enough_for_one_task(tmp_path: Path) -> None:
    model = tiny.model(tasks={"mood": tiny.TASKS["mood"]})
    trainer = make(tmp_path, model=model, train=tiny.rows("mood", 12), evaluation=tiny.rows("mood", 8, seed=1))
    trainer.train()
    assert "eval_mood_f1_macro" in trainer.evaluate()
