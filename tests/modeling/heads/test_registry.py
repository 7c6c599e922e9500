import pytest
import torch
from torch import nn
from transformers import AutoConfig

from hf_mtl import SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import build_head, default_head, head_mistakes
from hf_mtl.modeling.heads import HEADS

from ..families import FAMILIES, OTHERS

BERT = AutoConfig.for_model(**FAMILIES["bert"])
CLASSES = {count: SequenceClassification(labels=count) for count in (2, 5)}


def dropout_of(head: nn.Module) -> float:
    [module] = [module for module in head.modules() if isinstance(module, nn.Dropout)]
    return module.p


def test_heads_are_discovered() -> None:
    assert {"linear", "mlp", "native"} <= set(HEADS.names())


@pytest.mark.parametrize("name", ["linear", "mlp", "native"])
def test_heads_map_features_to_outputs(name: str) -> None:
    head = build_head(name, 16, CLASSES[5], BERT).eval()
    assert head(torch.randn(3, 16)).shape == (3, 5)
    assert head(torch.randn(0, 16)).shape == (0, 5)


def test_options_come_from_the_signature() -> None:
    assert list(HEADS.options("mlp").model_fields) == ["type", "hidden", "dropout"]
    head = build_head({"type": "mlp", "hidden": 7, "dropout": 0.3}, 16, CLASSES[2], BERT)
    assert head.layers[0].out_features == 7
    assert dropout_of(head) == 0.3


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_dropout_falls_back_to_the_model_and_then_to_the_backbone(name: str) -> None:
    config = AutoConfig.for_model(**FAMILIES["bert"], hidden_dropout_prob=0.25)
    assert dropout_of(build_head(name, 16, CLASSES[2], config)) == 0.25
    assert dropout_of(build_head(name, 16, CLASSES[2], config, dropout=0.4)) == 0.4
    config.classifier_dropout = 0.0
    assert dropout_of(build_head(name, 16, CLASSES[2], config)) == 0.0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("linaer", "unknown head 'linaer'.*Did you mean 'linear'"),
        ({"type": "mlp", "hiden": 3}, r"model\.head\.hiden: unknown key.*Did you mean 'hidden'"),
        ({"type": "mlp", "hidden": 0}, r"model\.head\.hidden: found 0"),
        ({"type": "linear", "dropout": 1.5}, r"model\.head\.dropout: found 1\.5"),
        ({"hidden": 3}, "Allowed: a name, or a mapping with type"),
        (
            {"type": "vip", "variance_normalization": False, "gamma": 2.0},
            r"model\.head\.gamma: does nothing with variance_normalization: false",
        ),
    ],
)
def test_wrong_specifications_say_what_is_allowed(spec: str | dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_head(spec, 16, CLASSES[2], BERT)


def test_mistakes_carry_the_key_of_the_recipe() -> None:
    [mistake] = head_mistakes("none", key="tasks.a.head")
    assert mistake.key == "tasks.a.head"


def test_native_is_the_default_where_there_is_one() -> None:
    assert default_head(BERT) == {"type": "native"}
    assert default_head(AutoConfig.for_model(**OTHERS["llama"])) == {"type": "native"}
    assert default_head(AutoConfig.for_model(**OTHERS["llama"]), "mean") == {"type": "linear"}
    config = AutoConfig.for_model(**OTHERS["t5"])
    assert default_head(config) == {"type": "linear"}
    with pytest.raises(ModelError, match="does not fit this backbone"):
        build_head("native", 16, CLASSES[2], config)
