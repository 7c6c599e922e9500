"""Rows are encoded and grouped as one model takes them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.errors import UserError
from hf_mtl.training.trainer.row_encoder import RowEncoder
from tests import tiny


def encoder() -> RowEncoder:
    return RowEncoder(tiny.model(), tiny.tokenizer())


def test_a_split_of_every_task_comes_in_the_models_order() -> None:
    found = encoder().encode({"score": tiny.rows("score", 4), "topic": tiny.rows("topic", 5)}, tiny.TASKS, "train")
    assert {name: len(split) for name, split in found.items()} == {"topic": 5, "score": 4}
    assert list(found) == ["topic", "score"]


def test_rows_of_a_task_that_the_model_does_not_have_are_refused() -> None:
    with pytest.raises(UserError, match="no such task"):
        encoder().encode({"moods": tiny.rows("mood", 4)}, tiny.TASKS, "train")


@pytest.mark.parametrize(
    ("rows", "tokens", "limit"),
    [(None, None, (1024, None)), (8, None, (None, 8)), (None, 90, (90, None)), (8, 90, (90, 8))],
)
@pytest.mark.parametrize(
    ("layout", "padded"), [("packed", False), ("auto", False), ("groups", True), ("padded", True)]
)
def test_rows_and_tokens_limit_a_batch_at_evaluation(
    rows: int | None, tokens: int | None, limit: tuple[Any, Any], layout: str, padded: bool
) -> None:
    sizes = {"per_device_eval_batch_size": rows, "eval_tokens_per_batch": tokens, "tokens_per_micro_batch": tokens}
    args: Any = SimpleNamespace(**sizes, device=torch.device("cpu"), encoder_layout=layout)
    assert encoder().eval_limit(args) == BatchLimit(*limit, padded)
    assert encoder().train_limit(args) == (None if tokens is None else BatchLimit(tokens, None, padded))


@pytest.mark.parametrize(("given", "cost"), [(None, 64), (7, 7)])
def test_a_group_costs_what_the_arguments_say_or_what_suits_the_device(given: int | None, cost: int) -> None:
    args: Any = SimpleNamespace(group_cost=given, device=torch.device("cpu"), encoder_layout="groups")
    found = encoder().collator(encoder().encode({"mood": tiny.rows("mood", 4)}, tiny.TASKS, "train"), args)
    assert (found.group_cost, found.pad_id, found.names) == (cost, 0, ["mood"])
