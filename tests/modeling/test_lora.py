"""Adapters are part of the model: its config, its checkpoint, its export."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel, split_parameters
from hf_mtl.modeling.lora import add_lora, merged_weights

from .families import EXPORTED, FAMILIES, OTHERS, make_model, make_texts, make_tokenizer, padding_of

DEFAULTS = {"rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear", "rslora": False}


def trained(family: str, lora: Any = True, **options: Any) -> MultiTaskModel:
    """A model whose adapters are not zero any more."""
    model = make_model(family, lora=lora, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.encoder.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


@torch.no_grad()
def logits(model: MultiTaskModel, family: str) -> dict[str, Tensor]:
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    return model.eval()(ids, mask).logits


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def trainable(model: MultiTaskModel) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def adapted(model: MultiTaskModel) -> set[str]:
    """Names of the encoder's layers that have an adapter."""
    return {name for name, module in model.encoder.named_modules() if hasattr(module, "lora_A")}


# ---- A new model ----


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_new_adapter_changes_nothing(family: str) -> None:
    plain, model = make_model(family), make_model(family, lora=True)
    assert_equal(logits(plain, family), logits(model, family))
    assert_equal(plain.heads.state_dict(), model.heads.state_dict())
    assert_equal(plain.encoder.state_dict(), merged_weights(model.encoder))


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_only_adapters_and_heads_are_trained(family: str) -> None:
    model = make_model(family, lora=True)
    heads = {name for name, _ in model.named_parameters() if name.startswith("heads.")}
    adapters = {name for name, _ in model.named_parameters() if ".lora_A." in name or ".lora_B." in name}
    assert trainable(model) == heads | adapters
    layers = {n for n, m in make_model(family).encoder.named_modules() if isinstance(m, torch.nn.Linear)}
    assert adapted(model) == {name for name in layers if "pooler" not in name}
    assert len(adapters) == 2 * len(adapted(model)) > 0
    assert {name for name, _ in split_parameters(model)[0]} >= adapters


@pytest.mark.parametrize(("family", "pooler"), [("bert", "pooler.dense"), ("albert", "pooler")])
def test_the_pooler_is_adapted_only_where_it_is_named(family: str, pooler: str) -> None:
    assert pooler not in adapted(make_model(family, "native", lora={"target_modules": ["query", "dense"]}))
    assert adapted(make_model(family, "native", lora={"target_modules": [pooler]})) == {pooler}


def test_options_reach_the_adapters() -> None:
    options = {"rank": 4, "alpha": 6, "dropout": 0.25, "target_modules": ["self.query", "value"]}
    model = make_model("roberta", lora=options)
    ends = {".".join(name.split(".")[-2:]) for name in adapted(model)}
    assert ends == {"self.query", "self.value"}
    layer = model.encoder.encoder.layer[0].attention.self.query
    assert layer.lora_A["default"].weight.shape == (4, 16)
    assert (layer.scaling["default"], layer.lora_dropout["default"].p) == (1.5, 0.25)
    layer = make_model("roberta", lora={**options, "rslora": True}).encoder.encoder.layer[0].attention.self.query
    assert layer.scaling["default"] == 3.0


def test_the_config_holds_every_option() -> None:
    assert make_model("bert", lora=True).config.lora == DEFAULTS
    assert make_model("bert", lora={}).config.lora == DEFAULTS
    assert make_model("bert", lora={"rank": 2}).config.lora == {**DEFAULTS, "rank": 2}
    assert make_model("bert", lora=False).config.lora is None


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model = trained("bert", dropout=0.0).train()
    ids, mask = make_texts([6, 4])
    gradients = []
    for enable in (False, True):
        if enable:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
        gradients.append({n: p.grad.clone() for n, p in model.encoder.named_parameters() if p.grad is not None})
    assert {f"encoder.{name}" for name in gradients[0]} == {n for n in trainable(model) if n.startswith("encoder.")}
    torch.testing.assert_close(gradients[0], gradients[1])


def test_frozen_weights_cost_no_weight_gradient() -> None:
    model = make_model("bert", lora=True)
    ids, mask = make_texts([6, 4])
    numbers = {n: p.numel() for n, p in model.encoder.named_parameters() if "embeddings.weight" not in n}
    adapters = sum(number for name, number in numbers.items() if "lora_" in name)
    # No gradient passes below the lowest adapter.
    below = sum(
        number for name, number in numbers.items() if "embeddings" in name or "0.attention.self.query.b" in name
    )
    inputs = {"input_ids": ids, "attention_mask": mask}
    assert model.floating_point_ops(inputs) == 2 * 10 * sum(numbers.values())
    assert model.train().floating_point_ops(inputs) == 2 * 10 * (2 * sum(numbers.values()) - below + adapters)


# ---- Checkpoints ----


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_adapters_come_back_to_the_bit(family: str, tmp_path: Path) -> None:
    model = trained(family, {"rank": 3})
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = AutoModel.from_pretrained(tmp_path)
    assert_equal(model.state_dict(), loaded.state_dict())
    assert_equal(logits(model, family), logits(loaded, family))
    assert trainable(loaded) == trainable(model)
    assert loaded.config.lora == {**DEFAULTS, "rank": 3}


def test_one_file_holds_base_adapters_and_heads(tmp_path: Path) -> None:
    model = trained("bert", {"rslora": True, "target_modules": ["query", "pooler.dense"]}, head="native")
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert json.loads((tmp_path / "config.json").read_text())["lora"]["target_modules"] == ["query", "pooler.dense"]
    loaded, info = MultiTaskModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert_equal(logits(model, "bert"), logits(loaded, "bert"))


def test_adapters_follow_the_dtype_of_the_encoder(tmp_path: Path) -> None:
    trained("bert").save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.encoder.parameters()} == {torch.bfloat16}
    assert make_model("bert", lora=True, dtype=torch.bfloat16).encoder.dtype == torch.bfloat16


def test_adapters_of_another_rank_start_anew_where_that_is_asked_for(tmp_path: Path) -> None:
    model = trained("bert", {"rank": 4, "target_modules": ["query", "value"]})
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    wanted = {"rank": 2, "target_modules": ["query", "value"]}
    loaded = MultiTaskModel.from_pretrained(tmp_path, lora=wanted, ignore_mismatched_sizes=True).state_dict()
    adapter = "encoder.encoder.layer.1.attention.self.query.lora_{}.default.weight"
    first, second = loaded[adapter.format("A")], loaded[adapter.format("B")]
    assert 0.4 / math.sqrt(16) < first.abs().max() < 1 / math.sqrt(16)
    assert torch.equal(second, torch.zeros(16, 2))
    kept = {name: value for name, value in saved.items() if "lora_" not in name}
    assert_equal({name: loaded[name] for name in kept}, kept)


def test_a_model_with_adapters_is_built_on_the_meta_device() -> None:
    config = make_model("bert", lora=True).config
    with torch.device("meta"):
        model = MultiTaskModel(MultiTaskConfig(**config.to_dict()))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert trainable(model) == trainable(make_model("bert", lora=True))


def test_other_adapters_than_the_checkpoint_has_are_refused(tmp_path: Path) -> None:
    make_model("bert").save_pretrained(tmp_path / "plain")
    with pytest.raises(ModelError, match=r"model\.lora: the checkpoint has no adapter on encoder\..*query, unlike"):
        MultiTaskModel.from_pretrained(tmp_path / "plain", lora={"target_modules": ["query"]})
    make_model("bert", lora=True).save_pretrained(tmp_path / "lora")
    with pytest.raises(ModelError, match=r"model\.lora: the checkpoint has an adapter on encoder\."):
        MultiTaskModel.from_pretrained(tmp_path / "lora", lora=None)


# ---- Export ----


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_model_has_the_adapters_in_its_weights(family: str, tmp_path: Path) -> None:
    model = trained(family, head="native")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected = logits(model, family)
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    for task in model.tasks:
        model.export_task(task, tmp_path / task, make_tokenizer())
        plain, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / task, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        with torch.no_grad():
            found = plain(ids, attention_mask=mask).logits
        torch.testing.assert_close(found, expected[task], rtol=1e-4, atol=1e-5)
    assert_equal(model.state_dict(), before)
    assert_equal(logits(model, family), expected)


def test_an_exported_model_needs_no_peft(tmp_path: Path) -> None:
    model = trained("roberta")
    assert not torch.allclose(logits(model, "roberta")["train"], logits(make_model("roberta"), "roberta")["train"])
    model.export_task("train", tmp_path, make_tokenizer())
    assert {path.name for path in tmp_path.iterdir()} == EXPORTED
    assert not any(word in (tmp_path / "config.json").read_text() for word in ("lora", "peft", "hf_mtl"))
    assert not any("lora" in name or "base_layer" in name for name in load_file(tmp_path / "model.safetensors"))


# ---- Mistakes ----


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"rnak": 4}, r"model\.lora\.rnak: unknown key 'rnak'\. Known: .*Did you mean 'rank'\?"),
        ({"rank": 0}, r"model\.lora\.rank: found 0\. Allowed: at least 1"),
        ({"alpha": 0, "dropout": 1}, r"model\.lora\.alpha: found 0[^\n]*\nmodel\.lora\.dropout: found 1"),
        ({"target_modules": []}, r"model\.lora\.target_modules: found \[\]"),
        (
            {"target_modules": "query"},
            r"target_modules: found 'query'\. Allowed: a list or 'all-linear'",
        ),
        (
            {"target_modules": ["qury", "value"]},
            r"ends in 'qury'\. Known: dense, key, pooler\.dense, query, value\. Did you mean 'query'\?",
        ),
        (3, r"model\.lora: found 3\. Allowed: true or false or a mapping"),
    ],
)
def test_unusable_options_are_refused(lora: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_model("bert", "native", lora=lora)


def test_add_lora_checks_its_options_and_runs_once() -> None:
    encoder = make_model("bert").encoder
    with pytest.raises(ModelError, match=r"model\.lora\.rank: found 0"):
        add_lora(encoder, rank=0)
    assert not any("lora" in name for name in encoder.state_dict())
    add_lora(encoder)
    with pytest.raises(ModelError, match="the encoder has adapters already"):
        add_lora(encoder)


def test_without_peft_the_package_to_install_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_model("bert", lora=True).save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "peft", None)
    for build in (lambda: make_model("bert", lora=True), lambda: MultiTaskModel.from_pretrained(tmp_path)):
        with pytest.raises(ModelError, match=r'model\.lora: needs peft.*`pip install "hf_mtl\[lora\]"`') as error:
            build()
        assert len(error.value.mistakes) == 1
    make_model("bert")
