import pytest
import torch
from transformers import AutoConfig

from hf_mtl.modeling import default_pooling, pool

HIDDEN = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[9.0, 9.0], [-5.0, 0.0], [-1.0, -6.0]]])
MASK = torch.tensor([[1, 1, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("cls", [[1.0, -4.0], [9.0, 9.0]]),
        ("mean", [[2.0, -3.0], [-3.0, -3.0]]),
        ("last", [[3.0, -2.0], [-1.0, -6.0]]),
        ("max", [[3.0, -2.0], [-1.0, 0.0]]),
    ],
)
def test_padding_is_not_pooled(pooling: str, expected: list[list[float]]) -> None:
    assert pool(HIDDEN, MASK, pooling).tolist() == expected


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("bert", "cls"),
        ("deberta-v2", "cls"),
        ("modernbert", "cls"),
        ("llama", "last"),
        ("qwen3", "last"),
        ("t5", "mean"),
    ],
)
def test_default_follows_the_architecture(model_type: str, expected: str) -> None:
    assert default_pooling(AutoConfig.for_model(model_type)) == expected
