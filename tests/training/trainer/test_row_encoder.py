"""Rows are encoded and grouped as one model takes them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import normalizers, processors

from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.errors import UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.training.trainer.row_encoder import RowEncoder
from tests import tiny

OF_DEVICE = {"device": torch.device("cpu"), "bf16": False, "fp16": False, "fsdp": None, "deepspeed": None}


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
    args: Any = SimpleNamespace(**sizes, encoder_layout=layout, **OF_DEVICE)
    assert encoder().eval_limit(args) == BatchLimit(*limit, padded)
    assert encoder().train_limit(args) == (None if tokens is None else BatchLimit(tokens, None, padded))


@pytest.mark.parametrize(
    ("asked", "tried", "layout"),
    [("auto", ["auto"], "packed"), ("padded", ["padded"], "padded"), ("groups", ["groups", "padded"], "padded")],
)
def test_where_processes_hold_parts_a_layout_is_settled_once_and_is_never_groups(
    asked: str, tried: list[str], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, settle = [], MultiTaskModel.settle_layout
    monkeypatch.setattr(
        MultiTaskModel,
        "settle_layout",
        lambda self, *given: seen.append((given[0], str(given[2]))) or settle(self, *given),
    )
    args: Any = SimpleNamespace(group_cost=None, encoder_layout=asked, **{**OF_DEVICE, "fsdp": True})
    rows = {"mood": tiny.rows("mood", 4)}
    one = encoder()
    collators = [one.collator(one.encode(rows, tiny.TASKS, "train"), args) for _ in range(2)]
    assert seen == [(each, "cpu") for each in tried]
    assert [collator.group_cost is None for collator in collators] == [layout == "padded"] * 2


@pytest.mark.parametrize(("given", "cost"), [(None, 64), (7, 7)])
def test_a_group_costs_what_the_arguments_say_or_what_suits_the_device(given: int | None, cost: int) -> None:
    args: Any = SimpleNamespace(group_cost=given, encoder_layout="groups", **OF_DEVICE)
    found = encoder().collator(encoder().encode({"mood": tiny.rows("mood", 4)}, tiny.TASKS, "train"), args)
    assert (found.group_cost, found.pad_id, found.names) == (cost, 0, ["mood"])


def without_special_tokens() -> Any:
    """A tokenizer that makes nothing of a text that is nothing but a letter it leaves out."""
    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("q", "")
    return tokenizer


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_texts_of_which_no_token_is_left_are_refused_with_their_rows(split: str) -> None:
    rows = Dataset.from_dict({"text": ["w1 w2", "q", "w3", "qq", "w4 w5"], "label": ["good", "bad"] * 2 + ["good"]})
    said = rf"tasks\.mood\.text: {split} has 2 rows without tokens: rows 1 and 3, counted from 0"
    with pytest.raises(UserError, match=said):
        RowEncoder(tiny.model(), without_special_tokens()).encode({"mood": rows}, tiny.TASKS, split)


@pytest.mark.parametrize("split", ["train", "test"])
def test_given_rows_without_ids_are_refused_with_their_numbers(split: str) -> None:
    rows = Dataset.from_dict({"input_ids": [[5, 6], [], [7]], "label": ["good", "bad", "good"]})
    with pytest.raises(UserError, match=f"{split} has 1 row without token ids: row 1, counted from 0"):
        encoder().encode({"mood": rows}, tiny.TASKS, split)
    encoded = encoder().encode({"mood": tiny.rows("mood", 3)}, tiny.TASKS, "train")["mood"]
    offsets = np.array([0, 4, 4, encoded.tokens.total_tokens])
    empty = replace(encoded, tokens=replace(encoded.tokens, offsets=offsets))
    with pytest.raises(UserError, match=f"{split} has 1 row without tokens: row 1, counted from 0"):
        encoder().encode({"mood": empty}, tiny.TASKS, split)
