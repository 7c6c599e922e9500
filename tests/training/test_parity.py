"""A run with one task is a run of `transformers.Trainer`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from tests import tiny

STEPS, ROWS = 50, 16
TASK = {"topic": tiny.TASKS["topic"]}


class InOrder(Trainer):
    """The Trainer, without its own shuffling."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def arguments(folder: Path, accumulation: int) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": ROWS // accumulation,
        "gradient_accumulation_steps": accumulation,
        "max_steps": STEPS,
        "learning_rate": 5e-3,
        "weight_decay": 0.1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }


def losses(trainer: Trainer, key: str = "loss") -> np.ndarray:
    trainer.train()
    return np.array([record[key] for record in trainer.state.log_history if "loss" in record])


def rows_in_our_order(ours: MultiTaskTrainer, dataset: Dataset) -> Dataset:
    """What the Trainer is given: the rows of our plan, tokenised by the plain tokenizer."""
    order = np.concatenate([ours.steps.plan(step).rows for step in range(STEPS)])
    picked = dataset.select(order)
    tokenizer = tiny.tokenizer()
    return picked.map(lambda row: tokenizer(row["text"]), remove_columns=["text"])


@pytest.mark.parametrize("accumulation", [1, 4])
def test_one_task_has_the_losses_of_the_trainer(tmp_path: Path, accumulation: int) -> None:
    dataset = tiny.rows("topic", 203)
    model = tiny.model(tasks=TASK, head="native")
    model.export_task("topic", str(tmp_path / "plain"), tiny.tokenizer())
    options = arguments(tmp_path / "run", accumulation)
    ours = MultiTaskTrainer(
        model=model,
        args=MultiTaskTrainingArguments(**options, encoder_layout="padded"),
        train_dataset=dataset,
        processing_class=tiny.tokenizer(),
    )
    plain = InOrder(
        model=AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain"),
        args=TrainingArguments(**options),
        train_dataset=rows_in_our_order(ours, dataset),
        data_collator=DataCollatorWithPadding(tiny.tokenizer()),
    )
    # BertForSequenceClassification takes **kwargs but ignores num_items_in_batch: by default the Trainer then adds
    # the means of the micro-batches up: losses and gradients are `accumulation` times too large (transformers 5.23).
    plain.model_accepts_loss_kwargs = False
    expected, found = losses(plain), losses(ours)
    assert len(expected) == STEPS
    assert expected[-10:].mean() < 0.97 * expected[:10].mean(), "training should move the losses"
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert [record["grad_norm"] for record in ours.state.log_history if "grad_norm" in record] == pytest.approx(
        [record["grad_norm"] for record in plain.state.log_history if "grad_norm" in record], rel=1e-4
    )


def test_length_groups_change_the_losses_by_rounding_only(tmp_path: Path) -> None:
    dataset = tiny.rows("topic", 203)
    runs = []
    for layout in ("padded", "groups", "packed"):
        args = MultiTaskTrainingArguments(**arguments(tmp_path, 1), encoder_layout=layout, group_cost=8)
        runs.append(
            losses(
                MultiTaskTrainer(
                    model=tiny.model(tasks=TASK), args=args, train_dataset=dataset, processing_class=tiny.tokenizer()
                ),
                key="loss/topic",
            )
        )
    # AdamW divides by the gradient's own size: rounding grows over 50 steps, but stays far below a step's change.
    for found in runs[1:]:
        np.testing.assert_allclose(found, runs[0], rtol=1e-4)
