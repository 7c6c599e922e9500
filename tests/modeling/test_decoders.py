"""Decoder-only backbones, step by step: packed, trained, saved, adapted, exported."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from hf_mtl import MultipleChoice, Regression, SequenceClassification, TokenClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Task
from tests import tiny

from .families import DECODERS, make_model, make_texts, make_tokenizer, some_fast

TASKS: dict[str, Task] = {
    "topic": SequenceClassification(labels=["a", "b", "c"]),
    "score": Regression(label="score", standardize=False),
    "tags": TokenClassification(labels=["O", "X"]),
}
PEFT: dict[str, Any] = {
    "none": None,
    "lora": "lora",
    "dora": {"type": "lora", "use_dora": True},
    "ia3": "ia3",
    "both": {"shared": "lora", "per_task": {"type": "lora", "r": 4}},
}


def trained(family: str, peft: Any = None, tasks: dict[str, Task] = TASKS, **options: Any) -> MultiTaskModel:
    model = make_model(family, peft=peft, tasks=tasks, **options)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not name.startswith("heads."):
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@torch.no_grad()
def logits(model: MultiTaskModel) -> dict[str, Tensor]:
    ids, mask = make_texts([9, 4, 7])
    return model.eval()(ids, mask).logits


@pytest.mark.parametrize(
    ("family", "peft"),
    some_fast(product(DECODERS, PEFT), ("llama", "none"), ("qwen2", "both"), ("qwen3", "ia3")),
)
def test_it_is_packed_saved_and_exported_with_any_adapters(family: str, peft: str, tmp_path: Path) -> None:
    model = trained(family, PEFT[peft])
    assert model.config.pooling == "last"
    assert {name: model.heads.of(name).head.name for name in TASKS} == dict.fromkeys(TASKS, "native")
    found = logits(model)
    assert model.settle_layout() == "packed"
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    again = logits(loaded)
    assert all(torch.equal(again[task], found[task]) for task in TASKS)
    ids, mask = make_texts([9, 4, 7])
    tokenizer = tiny.qwen2_tokenizer() if family == "qwen2" else make_tokenizer()
    for name, task in TASKS.items():
        loaded.export_task(name, tmp_path / name, tokenizer)
        plain = getattr(transformers, task.auto_model or "").from_pretrained(tmp_path / name).eval()
        with torch.no_grad():
            exported = plain(ids, attention_mask=mask).logits
        real = mask.bool() if name == "tags" else ...
        torch.testing.assert_close(exported[real], found[name][real], rtol=1e-3, atol=1e-4)
        assert plain.config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize("family", some_fast(DECODERS, "qwen3"))
def test_left_padding_changes_nothing(family: str) -> None:
    model = trained(family)
    ids, mask = make_texts([9, 4, 7])
    with torch.no_grad():
        left = model(ids.flip(1), mask.flip(1)).logits["topic"]
        right = model(
            torch.stack([row.roll(-int(9 - n)) for row, n in zip(ids.flip(1), mask.sum(1), strict=True)]), mask
        )
    torch.testing.assert_close(left, right.logits["topic"], rtol=1e-4, atol=1e-5)


def test_a_mean_that_no_bias_can_hold_is_refused_and_a_temperature_is_not(tmp_path: Path) -> None:
    tasks: dict[str, Task] = {"score": Regression(label="score"), "topic": TASKS["topic"]}
    model = trained("qwen2", tasks=tasks)
    model.set_statistics("score", mean=[3.0], std=[2.0])
    with pytest.raises(
        ModelError, match="the head of 'qwen2' has no bias to hold it. Train it with standardize: false"
    ):
        model.export_task("score", tmp_path / "score", tiny.qwen2_tokenizer())
    assert not (tmp_path / "score").exists()
    model.set_calibration_temperature("topic", 2.0)
    model.export_task("topic", tmp_path / "topic", tiny.qwen2_tokenizer())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "topic").eval()
    ids, mask = make_texts([9, 4, 7])
    with torch.no_grad():
        torch.testing.assert_close(
            plain(ids, attention_mask=mask).logits, logits(model)["topic"], rtol=1e-3, atol=1e-4
        )


def test_a_token_of_padding_that_ends_texts_or_is_none_is_refused(tmp_path: Path) -> None:
    model, tokenizer = trained("llama"), make_tokenizer()
    tokenizer.pad_token = "[SEP]"
    with pytest.raises(ModelError, match="ends texts in its token of padding, 3, by which the last token is found"):
        model.export_task("topic", tmp_path / "topic", tokenizer)
    tokenizer.pad_token = None
    with pytest.raises(ModelError, match="the tokenizer has no token of padding"):
        model.export_task("topic", tmp_path / "topic", tokenizer)
    model.export_task("tags", tmp_path / "tags", make_tokenizer())


def test_choices_have_no_native_head_and_take_another() -> None:
    choices: dict[str, Task] = {"choice": MultipleChoice(choices=["a", "b"])}
    model = make_model("llama", tasks=choices)
    assert model.heads.of("choice").head.name == "linear"
    with pytest.raises(ModelError, match=re.escape("AutoModelForMultipleChoice of transformers has no 'llama'")):
        make_model("llama", "native", tasks=choices)
    ids, mask = make_texts([9, 4])
    assert model(ids[None], mask[None]).logits["choice"].shape == (1, 2, 1)
