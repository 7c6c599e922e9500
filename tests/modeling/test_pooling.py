import pytest
from transformers import AutoConfig

from hf_mtl.modeling import default_pooling


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
