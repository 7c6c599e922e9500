"""Tokens are counted, over micro-batches and processes."""

from pathlib import Path

import pytest

from tests.training.trainers import make


@pytest.mark.parametrize("layout", ["packed", "groups"])
@pytest.mark.parametrize("count", ["all", "non_padding", True])
def test_input_tokens_are_counted(tmp_path: Path, count: str | bool, layout: str) -> None:
    options = {"include_num_input_tokens_seen": count, "gradient_accumulation_steps": 2, "group_cost": 8}
    trainer = make(tmp_path, encoder_layout=layout, **options)
    trainer.train()
    plans = make(tmp_path, gradient_accumulation_steps=2)
    collator = plans.train_collator()
    real = 0
    for step in range(4):
        plan = plans.steps.plan(step)
        real += int(collator.lengths(plan.tasks, plan.rows).sum())
    seen = trainer.state.num_input_tokens_seen
    # What is packed has no padding to count.
    assert seen == real if count == "non_padding" or layout == "packed" else real < seen < 2 * real
