"""Counted operations against those that torch executes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hf_mtl import SequenceClassification
from hf_mtl.modeling import MultiTaskModel

from .families import make_texts

WIDTH, ROWS, LENGTH = 64, 4, 16
BERT = {
    "model_type": "bert",
    "vocab_size": 60,
    "hidden_size": WIDTH,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 4 * WIDTH,
    "max_position_embeddings": 64,
}
QUERY_KEY_VALUE = 2 * ROWS * LENGTH * 3 * WIDTH**2


def executed(counter: FlopCounterMode) -> int:
    """Operations of the products with weight matrices, without those of attention."""
    counts = counter.get_flop_counts().get("Global", {})
    return sum(number for operation, number in counts.items() if str(operation) in ("aten.mm", "aten.addmm"))


def count(model: MultiTaskModel, inputs: dict[str, Tensor]) -> tuple[int, int]:
    """Operations of the encoder that are executed forward and backward."""
    with FlopCounterMode(display=False) as forward:
        states = model.encoder(**inputs).last_hidden_state
    with FlopCounterMode(display=False) as backward:
        if states.requires_grad:
            states.sum().backward()
    return executed(forward), executed(backward)


@pytest.mark.parametrize(
    ("options", "excess"),
    [
        ({}, 0),
        # Nothing is trained below the lowest query, key and value, so that they pass no gradient on.
        ({"freeze": "embeddings"}, QUERY_KEY_VALUE),
        ({"freeze": 1}, QUERY_KEY_VALUE),
        ({"freeze": 3}, QUERY_KEY_VALUE),
        ({"freeze": 4}, 0),
        ({"freeze": "encoder"}, 0),
        ({"peft": "lora"}, QUERY_KEY_VALUE),
        ({"peft": "lora", "freeze": 2}, QUERY_KEY_VALUE),
        # An adapter on a query comes after the query itself.
        ({"peft": {"type": "lora", "target_modules": ["layer.2.attention.self.query"]}}, QUERY_KEY_VALUE * 2 // 3),
    ],
    ids=str,
)
def test_operations_are_those_that_torch_executes(options: dict[str, Any], excess: int) -> None:
    torch.manual_seed(0)
    task = SequenceClassification(labels=2)
    model = MultiTaskModel.from_backbone(BERT, {"a": task}, "linear", dropout=0.0, **options)
    ids, mask = make_texts([LENGTH] * ROWS)
    inputs = {"input_ids": ids, "attention_mask": mask}
    counted = model.eval().floating_point_ops(inputs)
    counted_backward = model.train().floating_point_ops(inputs) - counted
    forward, backward = count(model, inputs)
    # Biases and norms are counted as if they were multiplied: 2% of the parameters of layers as narrow as these.
    assert counted == pytest.approx(forward, rel=0.03)
    assert counted_backward == pytest.approx(backward + excess, rel=0.03)
