"""Adapters are part of the model: its config, its checkpoint, its export."""

import json
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
from hf_mtl.modeling.adapters import adapter_parameters, add_adapters, merged_weights
from hf_mtl.modeling.peft_options import parse_peft

from .families import EXPORTED, FAMILIES, OTHERS, TASKS, make_model, make_texts, make_tokenizer, padding_of

DEFAULTS = {"type": "lora", "r": 8, "lora_alpha": 8, "init_lora_weights": True, "target_modules": "all-linear"}
IA3 = {"type": "ia3", "target_modules": "all-linear", "feedforward_modules": []}
KINDS: dict[str, Any] = {
    "lora": {"type": "lora", "r": 3},
    "dora": {"type": "lora", "r": 3, "use_dora": True},
    "rslora": {"type": "lora", "r": 3, "use_rslora": True},
    "ia3": {"type": "ia3"},
    "loha": {"type": "loha", "r": 2},
    "lokr": {"type": "lokr", "r": 2},
    "hra": {"type": "hra", "r": 2},
}


def trained(family: str, peft: Any = "lora", **options: Any) -> MultiTaskModel:
    """A model whose adapters change what it does."""
    model = make_model(family, peft=peft, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter_parameters(model.encoder):
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
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
    return {name for name, module in model.encoder.named_modules() if hasattr(module, "base_layer")}


# ---- A new model ----


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_new_adapter_changes_nothing(family: str) -> None:
    plain, model = make_model(family), make_model(family, peft="lora")
    assert_equal(logits(plain, family), logits(model, family))
    assert_equal(plain.heads.state_dict(), model.heads.state_dict())
    assert_equal(plain.encoder.state_dict(), merged_weights(model.encoder))


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_only_adapters_and_heads_are_trained(family: str) -> None:
    model = make_model(family, peft="lora")
    heads = {name for name, _ in model.named_parameters() if name.startswith("heads.")}
    adapters = {name for name, _ in model.named_parameters() if ".lora_A." in name or ".lora_B." in name}
    assert trainable(model) == heads | adapters
    layers = {n for n, m in make_model(family).encoder.named_modules() if isinstance(m, torch.nn.Linear)}
    assert adapted(model) == {name for name in layers if "pooler" not in name}
    assert len(adapters) == 2 * len(adapted(model)) > 0
    assert {name for name, _ in split_parameters(model)[0]} >= adapters


@pytest.mark.parametrize(("family", "pooler"), [("bert", "pooler.dense"), ("albert", "pooler")])
def test_the_pooler_is_adapted_only_where_it_is_named(family: str, pooler: str) -> None:
    assert pooler not in adapted(
        make_model(family, "native", peft={"type": "lora", "target_modules": ["query", "dense"]})
    )
    assert adapted(make_model(family, "native", peft={"type": "lora", "target_modules": [pooler]})) == {pooler}


def test_options_reach_the_adapters() -> None:
    options = {
        "type": "lora",
        "r": 4,
        "lora_alpha": 6,
        "lora_dropout": 0.25,
        "target_modules": ["self.query", "value"],
    }
    model = make_model("roberta", peft=options)
    ends = {".".join(name.split(".")[-2:]) for name in adapted(model)}
    assert ends == {"self.query", "self.value"}
    layer = model.encoder.encoder.layer[0].attention.self.query
    assert layer.lora_A["default"].weight.shape == (4, 16)
    assert (layer.scaling["default"], layer.lora_dropout["default"].p) == (1.5, 0.25)
    layer = make_model("roberta", peft={**options, "use_rslora": True}).encoder.encoder.layer[0].attention.self.query
    assert layer.scaling["default"] == 3.0


def test_the_config_holds_what_is_on() -> None:
    assert make_model("bert", peft="lora").config.peft == DEFAULTS
    assert make_model("bert", peft={"type": "lora"}).config.peft == DEFAULTS
    assert make_model("bert", peft={"type": "lora", "r": 2}).config.peft == {**DEFAULTS, "r": 2}
    assert make_model("bert", peft=None).config.peft is None


def test_ia3_is_on_the_layers_that_peft_chose_and_says_so() -> None:
    model = make_model("bert", peft="ia3")
    assert model.config.peft == {
        "type": "ia3",
        "init_ia3_weights": True,
        "target_modules": ["key", "value", "output.dense"],
        "feedforward_modules": ["output.dense"],
    }
    forward = {name for name in adapted(model) if model.encoder.get_submodule(name).is_feedforward}
    assert forward == {name for name in adapted(model) if name.endswith("output.dense")} != adapted(model)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_starts_as_the_backbone_trains_comes_back_and_merges(kind: str, tmp_path: Path) -> None:
    plain = logits(make_model("bert", "native"), "bert")
    torch.testing.assert_close(logits(make_model("bert", "native", peft=KINDS[kind]), "bert"), plain)
    model = trained("bert", KINDS[kind], head="native")
    found = logits(model, "bert")
    assert not torch.allclose(found["train"], plain["train"], atol=1e-5)
    adapters = {id(parameter) for parameter in adapter_parameters(model.encoder)}
    assert {id(p) for p in model.encoder.parameters() if p.requires_grad} == adapters
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert_equal(logits(loaded, "bert"), found)
    assert trainable(loaded) == trainable(model)
    loaded.export_task("train", tmp_path / "train", make_tokenizer())
    exported = AutoModelForSequenceClassification.from_pretrained(tmp_path / "train").eval()
    ids, mask = make_texts([9, 4, 7])
    torch.testing.assert_close(exported(ids, attention_mask=mask).logits, found["train"], rtol=1e-4, atol=1e-5)
    assert loaded.merge_adapters() is loaded
    assert loaded.config.peft is None
    assert not adapted(loaded)
    torch.testing.assert_close(logits(loaded, "bert"), found, rtol=1e-4, atol=1e-5)
    assert all(parameter.requires_grad for parameter in loaded.encoder.parameters())
    loaded.save_pretrained(tmp_path / "merged")
    assert_equal(logits(MultiTaskModel.from_pretrained(tmp_path / "merged"), "bert"), logits(loaded, "bert"))
    with pytest.raises(ModelError, match=r"no adapters that all tasks share\. There is nothing to merge"):
        loaded.merge_adapters()


def test_a_config_of_peft_is_the_same_as_its_options() -> None:
    from peft import IA3Config, LoraConfig

    config = LoraConfig(r=4, use_dora=True, target_modules=["value", "query"])
    options = {"type": "lora", "r": 4, "use_dora": True, "target_modules": ["query", "value"]}
    left, right = make_model("bert", peft=config), make_model("bert", peft=options)
    assert MultiTaskConfig(peft={"shared": config}).peft == {"shared": options}
    assert left.config.peft == right.config.peft
    assert_equal(left.state_dict(), right.state_dict())
    assert make_model("bert", peft=IA3Config()).config.peft == make_model("bert", peft="ia3").config.peft


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
    model = make_model("bert", peft="lora")
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
    model = trained(family, {"type": "lora", "r": 3})
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = AutoModel.from_pretrained(tmp_path)
    assert_equal(model.state_dict(), loaded.state_dict())
    assert_equal(logits(model, family), logits(loaded, family))
    assert trainable(loaded) == trainable(model)
    assert loaded.config.peft == {**DEFAULTS, "r": 3}


def test_one_file_holds_base_adapters_and_heads(tmp_path: Path) -> None:
    model = trained(
        "bert", {"type": "lora", "use_rslora": True, "target_modules": ["query", "pooler.dense"]}, head="native"
    )
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert json.loads((tmp_path / "config.json").read_text())["peft"]["target_modules"] == ["query", "pooler.dense"]
    loaded, info = MultiTaskModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert_equal(logits(model, "bert"), logits(loaded, "bert"))


def test_adapters_follow_the_dtype_of_the_encoder(tmp_path: Path) -> None:
    trained("bert").save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.encoder.parameters()} == {torch.bfloat16}
    assert make_model("bert", peft="lora", dtype=torch.bfloat16).encoder.dtype == torch.bfloat16


@pytest.mark.parametrize("ignore", [False, True])
def test_adapters_of_another_rank_are_refused(ignore: bool, tmp_path: Path) -> None:
    trained("bert", {"type": "lora", "r": 4}).save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"model\.peft: .*lora_A.* has the shape \[4, 16\], and \[2, 16\] by the config"
    ):
        MultiTaskModel.from_pretrained(tmp_path, peft={"type": "lora", "r": 2}, ignore_mismatched_sizes=ignore)


def test_a_model_with_adapters_is_built_on_the_meta_device() -> None:
    config = make_model("bert", peft="lora").config
    with torch.device("meta"):
        model = MultiTaskModel(MultiTaskConfig(**config.to_dict()))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert trainable(model) == trainable(make_model("bert", peft="lora"))


def test_other_adapters_than_the_checkpoint_has_are_refused(tmp_path: Path) -> None:
    make_model("bert").save_pretrained(tmp_path / "plain")
    with pytest.raises(ModelError, match=r"model\.peft: the checkpoint has no adapter on encoder\..*query, unlike"):
        MultiTaskModel.from_pretrained(tmp_path / "plain", peft={"type": "lora", "target_modules": ["query"]})
    make_model("bert", peft="lora").save_pretrained(tmp_path / "lora")
    with pytest.raises(ModelError, match=r"model\.peft: the checkpoint has an adapter on encoder\."):
        MultiTaskModel.from_pretrained(tmp_path / "lora", peft=None)


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
    ("spec", "message"),
    [
        ({"type": "lora", "r": 0}, r"model\.peft\.r: found 0\. Allowed: at least 1"),
        (
            {"type": "lora", "lora_alpha": 0, "lora_dropout": 1},
            r"lora_alpha: found 0[^\n]*\nmodel\.peft\.lora_dropout: f",
        ),
        ({"type": "lora", "target_modules": "query"}, r"whole name matches the expression 'query'\. Give a list of"),
        ({"type": "lora", "target_modules": "quer[y"}, r"'quer\[y' is no regular expression: "),
        (
            {"type": "lora", "target_modules": ["qury", "value"]},
            r"ends in 'qury'\. Known: dense, key, pooler\.dense, query, value\. Did you mean 'query'\?",
        ),
        ({"type": "lora", "exclude_modules": r".*"}, r"model\.peft: no layer is left to put an adapter on"),
        ({"type": "lora", "layers_to_transform": [0]}, r"layers_to_transform: goes with a list of target_modules"),
        (3, r"model\.peft: found 3\. Allowed: a type \(.*\), or a mapping, such as"),
    ],
)
def test_unusable_options_are_refused(spec: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_model("bert", "native", peft=spec)


@pytest.mark.parametrize("kind", ["lora", "loha", "per_task"])
def test_a_rank_that_no_layer_can_have_is_said(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    def said(rank: int) -> str:
        caplog.clear()
        options = {"type": "lora" if kind == "per_task" else kind, "r": rank}
        make_model("bert", peft={"per_task": options} if kind == "per_task" else options)
        return caplog.text

    assert "adds nothing" not in said(16)  # the hidden size, and what a layer between 16 and 20 may have
    rank = {"lora": 1000, "loha": 1001, "per_task": 1002}[kind]  # each is said once
    key = "model.peft.per_task.r" if kind == "per_task" else "model.peft.r"
    assert f"{key}: {rank} is more than 16, the highest rank that" in said(rank)


def test_some_layers_of_those_that_are_named_can_be_chosen() -> None:
    some = {
        "type": "lora",
        "target_modules": ["query", "value"],
        "layers_to_transform": [1],
        "exclude_modules": ["value"],
    }
    assert adapted(make_model("bert", peft=some)) == {"encoder.layer.1.attention.self.query"}
    by_expression = {"type": "lora", "target_modules": r".*layer\.0.*\.key"}
    assert adapted(make_model("bert", peft=by_expression)) == {"encoder.layer.0.attention.self.key"}


def test_a_backbone_whose_layers_peft_does_not_know_needs_them_said() -> None:
    with pytest.raises(ModelError, match=r"feedforward_modules: missing, and peft knows none of 'distilbert'"):
        make_model("distilbert", peft="ia3")
    named = {"type": "ia3", "target_modules": ["v_lin", "lin2"], "feedforward_modules": ["lin2"]}
    assert len(adapted(make_model("distilbert", peft=named))) == 4


def test_a_quantised_backbone_takes_none(tmp_path: Path) -> None:
    from transformers import QuantoConfig

    make_model("bert").encoder.save_pretrained(tmp_path)
    tasks = {"a": TASKS["train"]}
    message = r"model\.peft: the backbone is quantised, and adapters on such layers"
    with pytest.raises(ModelError, match=message):
        MultiTaskModel.from_backbone(tmp_path, tasks, peft="lora", quantization_config=QuantoConfig("int8"))
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=message):
        MultiTaskModel.from_backbone(tmp_path, tasks, peft="lora")


def test_adapters_are_added_once() -> None:
    encoder = make_model("bert").encoder
    options = parse_peft("lora", [])
    assert options is not None
    assert options.shared is not None
    add_adapters(encoder, options.shared)
    with pytest.raises(ModelError, match="the encoder has adapters already"):
        add_adapters(encoder, options.shared)


def test_what_was_lora_is_told_to_be_peft(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is model\.peft now\. Write peft: {type: lora, lora_alpha: 16, r: 4}"):
        make_model("bert", lora={"rank": 4})
    with pytest.raises(ModelError, match=r"model\.lora: is model\.peft now"):
        MultiTaskConfig(lora=True, tasks=TASKS)
    make_model("bert", peft="lora").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["lora"] = {"rank": 8, "alpha": 16}
    del config["peft"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"model\.lora: is model\.peft now.*r: 8"):
        MultiTaskModel.from_pretrained(tmp_path)


def test_without_peft_the_package_to_install_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_model("bert", peft="lora").save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "peft", None)
    for build in (lambda: make_model("bert", peft="lora"), lambda: MultiTaskModel.from_pretrained(tmp_path)):
        with pytest.raises(ModelError, match=r'model\.peft: needs peft.*`pip install "hf_mtl\[peft\]"`') as error:
            build()
        assert len(error.value.mistakes) == 1
    make_model("bert")
