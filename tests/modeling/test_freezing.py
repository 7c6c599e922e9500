"""A frozen part of the encoder is as it was: no gradient, no graph, no dropout."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
from hf_mtl.modeling.freezing import Freeze, freeze_mistakes, freeze_parts

from .families import FAMILIES, OTHERS, make_model, make_texts, padding_of

EVERY = [*FAMILIES, *OTHERS]
LAYERED = [family for family in EVERY if family != "albert"]
# ALBERT's layers share their weights.
CHOICES: list[Any] = [
    pytest.param(family, freeze, id=f"{family}-{freeze}")
    for family in EVERY
    for freeze in ("embeddings", 1, "encoder")
    if family in LAYERED or freeze != 1
]


def is_embedding(name: str) -> bool:
    """By the names that transformers gives; T5 and DeBERTa keep the positions of all layers elsewhere."""
    tables = ("embed", "shared", "relative_attention_bias")
    return any(word in name for word in tables) or name.startswith("encoder.LayerNorm")


def layer_of(name: str) -> int | None:
    found = re.search(r"(?:layer|layers|block)\.(\d+)\.", name)
    return None if found is None else int(found[1])


def expected(model: MultiTaskModel, freeze: Freeze) -> set[str]:
    """The encoder's parameters that a choice freezes."""
    names = [name for name, _ in model.encoder.named_parameters()]
    if freeze == "encoder":
        return set(names)
    return {name for name in names if is_embedding(name) or (freeze == 1 and layer_of(name) == 0)}


def frozen(model: MultiTaskModel) -> set[str]:
    return {name for name, parameter in model.encoder.named_parameters() if not parameter.requires_grad}


def frozen_modules(model: MultiTaskModel) -> list[nn.Module]:
    """Modules that have parameters, all of them frozen."""
    modules = [(module, list(module.parameters())) for module in model.encoder.modules()]
    return [module for module, own in modules if own and not any(p.requires_grad for p in own)]


def outputs_of(model: MultiTaskModel, modules: list[nn.Module], family: str) -> tuple[list[Tensor], Tensor]:
    """What some modules return for a batch, and the features."""
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        parts = output if isinstance(output, tuple) else (output,)
        found.extend(part for part in parts if isinstance(part, Tensor))

    handles = [module.register_forward_hook(keep) for module in modules if module is not model.encoder]
    ids, mask = make_texts([6, 4], padding=padding_of(family))
    features = model(ids, mask).features
    for handle in handles:
        handle.remove()
    return found, features


# ---- What is frozen ----


@pytest.mark.parametrize(("family", "freeze"), CHOICES)
def test_a_choice_freezes_its_parameters_and_no_others(family: str, freeze: Freeze) -> None:
    model = make_model(family, "linear", freeze=freeze)
    assert frozen(model) == expected(model, freeze) != set()
    assert all(parameter.requires_grad for parameter in model.heads.parameters())
    assert not frozen(make_model(family, "linear"))


def test_the_native_heads_pooler_is_above_the_layers() -> None:
    pooler = {"pooler.dense.weight", "pooler.dense.bias"}
    assert not frozen(make_model("bert", "native", freeze=2)) & pooler
    assert pooler <= frozen(make_model("bert", "native", freeze="encoder"))


def test_the_convolution_of_a_large_deberta_belongs_to_its_first_layer() -> None:
    config = {**FAMILIES["deberta-v3"], "conv_kernel_size": 3, "conv_act": "gelu"}
    torch.manual_seed(0)
    for freeze, is_frozen in (("embeddings", False), (1, True)):
        model = MultiTaskModel.from_backbone(config, make_model("bert").tasks, "linear", freeze=freeze)
        convolution = [name for name, _ in model.encoder.named_parameters() if ".conv." in name]
        assert convolution
        assert set(convolution) <= frozen(model) if is_frozen else not set(convolution) & frozen(model)


# ---- Gradient and graph ----


@pytest.mark.parametrize(("family", "freeze"), CHOICES)
def test_frozen_parts_build_no_graph_and_the_rest_gets_a_gradient(family: str, freeze: Freeze) -> None:
    model = make_model(family, "linear", freeze=freeze, dropout=0.1).train()
    outputs, features = outputs_of(model, frozen_modules(model), family)
    assert outputs
    assert not any(output.requires_grad for output in outputs)
    assert features.requires_grad == (freeze != "encoder")
    ids, mask = make_texts([6, 4], padding=padding_of(family))
    model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
    without = {name for name, parameter in model.encoder.named_parameters() if parameter.grad is None}
    assert without == frozen(model)


def test_gradients_of_the_rest_are_those_without_freezing() -> None:
    gradients = []
    for options in ({"freeze": 1}, {}):
        model = make_model("bert", "linear", dropout=0.0, **options).train()
        ids, mask = make_texts([6, 4])
        model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


@pytest.mark.parametrize("freeze", ["embeddings", 1])
def test_gradient_checkpointing_changes_no_gradient(freeze: Freeze) -> None:
    model = make_model("bert", "linear", dropout=0.0, freeze=freeze).train()
    ids, mask = make_texts([6, 4])
    gradients = []
    for enable in (False, True):
        if enable:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(gradients[0], gradients[1])


# ---- Dropout ----


@pytest.mark.parametrize(("family", "freeze"), CHOICES)
def test_dropout_leaves_frozen_parts_alone(family: str, freeze: Freeze) -> None:
    model = make_model(family, "linear", freeze=freeze, dropout=0.5)
    for _ in range(2):  # also after an evaluation in between
        model.eval()
        model.train()
        assert model.training
        assert model.heads.training
        assert model.encoder.training == (freeze != "encoder")
        modules = frozen_modules(model)
        assert not any(part.training for module in modules for part in module.modules())
    if family == "t5" and freeze != "encoder":
        return  # the dropout of its embeddings is also that of its output
    before, after = (outputs_of(model, modules, family) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(before[0], after[0], strict=True))
    assert torch.equal(before[1], after[1]) == (freeze == "encoder")


def test_a_new_model_has_no_dropout_in_frozen_parts() -> None:
    model = MultiTaskModel.from_backbone(FAMILIES["bert"], make_model("bert").tasks, dropout=0.5, freeze="encoder")
    ids, mask = make_texts([6, 4])
    assert torch.equal(model(ids, mask).features, model(ids, mask).features)


# ---- Checkpoints and adapters ----


@pytest.mark.parametrize("freeze", ["embeddings", 1, "encoder"])
@pytest.mark.parametrize("family", ["bert", "deberta-v3", "t5"])
def test_a_loaded_model_is_frozen_as_the_saved_one_was(family: str, freeze: Freeze, tmp_path: Path) -> None:
    model = make_model(family, "linear", freeze=freeze)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert loaded.config.freeze == freeze
    assert frozen(loaded) == frozen(model)
    assert not any(module.training for module in frozen_modules(loaded.train()))
    with torch.device("meta"):
        assert frozen(MultiTaskModel(MultiTaskConfig(**model.config.to_dict()))) == frozen(model)


def test_adapters_in_frozen_layers_are_frozen(tmp_path: Path) -> None:
    def trained(model: MultiTaskModel) -> set[str]:
        return {name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad}

    adapters = trained(make_model("bert", "linear", peft="lora"))
    assert trained(make_model("bert", "linear", peft="lora", freeze="embeddings")) == adapters
    model = make_model("bert", "linear", peft="lora", freeze=1)
    assert trained(model) == {name for name in adapters if layer_of(name) == 1} != set()
    model.save_pretrained(tmp_path)
    assert trained(MultiTaskModel.from_pretrained(tmp_path)) == trained(model)


# ---- Mistakes ----


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("embedings", r"model\.freeze: found 'embedings'\. Allowed: embeddings, encoder, or a number of layers"),
        (True, r"model\.freeze: found True\. Allowed"),
        (1.5, r"model\.freeze: found 1\.5\. Allowed"),
        (0, r"model\.freeze: found 0, and the backbone has 2 layers\. Allowed: from 1 to as many"),
        (3, r"model\.freeze: found 3, and the backbone has 2 layers"),
    ],
)
def test_what_cannot_be_frozen_is_refused(freeze: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_model("bert", freeze=freeze)


def test_a_frozen_encoder_has_no_use_for_adapters() -> None:
    for adapter in ("lora", {"type": "ia3"}, {"per_task": "lora"}):
        with pytest.raises(ModelError, match=r"model\.freeze: encoder, and model\.peft, .*Leave one of them out"):
            make_model("bert", "linear", freeze="encoder", peft=adapter)
    assert freeze_mistakes("encoder", None, adapters=False) == []


def test_layers_that_are_not_known_one_by_one_are_refused() -> None:
    with pytest.raises(
        ModelError, match=r"the layers of 'albert' are not known .* Allowed here: embeddings, encoder"
    ):
        make_model("albert", freeze=1)
    xlm = AutoModel.from_config(
        MultiTaskConfig(
            encoder_config={"model_type": "xlm", "vocab_size": 60, "emb_dim": 16, "n_layers": 2}
        ).encoder_config
    )
    with pytest.raises(ModelError, match="the layers of 'xlm' are not known"):
        freeze_parts(xlm, 1)
