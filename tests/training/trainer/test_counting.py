"""Tokens of all length groups are counted, over micro-batches and processes."""

from pathlib import Path

import pytest

from tests.training.trainers import make


@pytest.mark.parametrize("count", ["all", "non_padding", True])
def test_input_tokens_are_counted(tmp_path: Path, count: str | bool) -> None:
    trainer = make(tmp_path, include_num_input_tokens_seen=count, gradient_accumulation_steps=2, group_cost=8)
    trainer.train()
    plans = make(tmp_path, gradient_accumulation_steps=2)
    collator = plans.train_collator()
    real = 0
    for step in range(4):
        plan = plans.steps.plan(step)
        real += int(collator.lengths(plan.tasks, plan.rows).sum())
    seen = trainer.state.num_input_tokens_seen
    assert seen == real if count == "non_padding" else real < seen < 2 * real
