"""An encoder is tried with packed rows, and is afterwards as it was."""

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from hf_mtl.modeling import packing
from hf_mtl.modeling.packing import Packing, try_packing
from tests.modeling.packing_families import PACK, REFUSED, WINDOW, make_encoder

POOLERS = ("bert", "albert", "roberta")


@pytest.mark.parametrize("family", PACK)
def test_families_whose_rows_do_not_see_each_other_pack(family: str) -> None:
    found = try_packing(make_encoder(family), pooler=family in POOLERS)
    assert isinstance(found, Packing), found
    assert max(found.difference, found.gradient_difference) < 2e-6
    assert {layer.causal for layer in found.layers} == {family in DECODERS}
    assert any(layer.key_heads < layer.heads for layer in found.layers) == (family in GROUPED)
    windows = {layer.window for layer in found.layers} - {None}
    assert bool(windows) == (family in WINDOWED)
    assert all(window <= WINDOW + 1 for window in windows)  # type: ignore[operator]


DECODERS = ("llama", "qwen2", "qwen3", "gemma", "gemma3_text", "mistral", "phi", "gpt2", "opt", "gpt_neox")
GROUPED = ("eurobert", "llama", "qwen2", "qwen3", "gemma", "gemma3_text", "mistral", "phi")
WINDOWED = ("modernbert", "gemma3_text", "mistral")


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_would_be_wrong_fall_back(family: str) -> None:
    found = try_packing(make_encoder(family), pooler=False)
    assert isinstance(found, str)
    assert REFUSED[family] in found


def test_positions_are_counted_from_behind_paddings() -> None:
    starts = {}
    for family in ("bert", "roberta", "esm"):
        found = try_packing(make_encoder(family, pad_token_id=1), pooler=False)
        assert isinstance(found, Packing)
        starts[family] = found.first_position
    assert starts == {"bert": 0, "roberta": 2, "esm": 2}


def test_the_token_of_padding_is_counted_as_the_family_counts_it() -> None:
    uncounted = {}
    for family in ("bert", "roberta"):
        found = try_packing(make_encoder(family, pad_token_id=1), pooler=False)
        assert isinstance(found, Packing)
        uncounted[family] = found.padding
    assert uncounted == {"bert": None, "roberta": 1}


def test_gradients_are_tried_where_inference_mode_is_on() -> None:
    encoder = make_encoder("bert")
    with torch.inference_mode():
        assert isinstance(try_packing(encoder, pooler=True), Packing)


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "big_bird"])  # the last seeds NumPy and changes layers
def test_a_trial_leaves_no_trace(family: str) -> None:
    encoder = make_encoder(family)
    first, *others = encoder.parameters()
    first.grad, first.requires_grad = torch.ones_like(first), False
    encoder.get_submodule("embeddings").eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    modes = [module.training for module in encoder.modules()]
    config = copy.deepcopy(vars(encoder.config))
    generators = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[union-attr]
    try_packing(encoder, pooler=False)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert [module.training for module in encoder.modules()] == modes
    assert vars(encoder.config) == config
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == generators[1:]  # type: ignore[union-attr]
    assert torch.equal(first.grad, torch.ones_like(first))
    assert all(one.grad is None for one in others)
    assert not any(module._forward_hooks for module in encoder.modules())


def test_weights_in_half_precision_are_tried_in_float32_and_put_back() -> None:
    encoder = make_encoder("modernbert").to(torch.bfloat16)
    before = {name: (value.data_ptr(), value.dtype) for name, value in encoder.state_dict().items()}
    found = try_packing(encoder, pooler=False)
    assert isinstance(found, Packing)
    assert found.difference < 2e-6
    assert {name: (value.data_ptr(), value.dtype) for name, value in encoder.state_dict().items()} == before


def test_without_room_for_float32_weights_in_half_precision_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder("bert")
    size = sum(one.numel() for one in encoder.parameters())
    monkeypatch.setattr(packing, "free_memory", lambda device: 4.0 * size - 1)
    assert isinstance(try_packing(encoder, pooler=False), Packing)  # nothing is copied
    assert try_packing(encoder.half(), pooler=False) == "there is no room to try its weights in float32"


def test_no_gradient_of_a_weight_is_formed() -> None:
    encoder = make_encoder("bert")
    formed: list[str] = []
    for name, parameter in encoder.named_parameters():
        parameter.register_hook(lambda gradient, name=name: formed.append(name))
    assert isinstance(try_packing(encoder, pooler=True), Packing)
    assert formed == []


def test_an_encoder_without_weights_is_not_tried() -> None:
    with torch.device("meta"):
        encoder = make_encoder("bert")
    assert try_packing(encoder, pooler=False) == "it has no weights"


class OwnConfig(PreTrainedConfig):
    model_type = "own"
    hidden_size = 8
    vocab_size = 40
    max_position_embeddings = 32


class Own(PreTrainedModel):
    """An encoder as one finds it on the Hub: its forward takes ids and a mask, and nothing else."""

    config_class = OwnConfig

    def __init__(self, config: OwnConfig):
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.mix = nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> BaseModelOutput:
        states = self.words(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mean = (states * mask[..., None]).sum(1, keepdim=True) / mask.sum(1)[:, None, None]
        return BaseModelOutput(last_hidden_state=states + self.gain * self.mix(mean))

    gain = 1.0


class Swallowing(Own):
    """Takes everything, and reads none of it."""

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **kwargs: Any) -> BaseModelOutput:
        return super().forward(input_ids, attention_mask)


class Gated(Swallowing):
    """Mixes tokens with a factor that is 0 until it is trained."""

    gain = 0.0


class Failing(Own):
    """Cannot do anything."""

    def forward(self, *args: Any, **kwargs: Any) -> BaseModelOutput:
        raise RuntimeError("on\npurpose")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Own, "it fails at packed rows (TypeError: "),
        (Swallowing, "states of packed rows differ from those of rows alone by "),
        (Gated, "its layers do not call the attention that packs"),
        (Failing, "it fails at rows alone (RuntimeError: on)"),
    ],
)
def test_code_from_elsewhere_falls_back(kind: type[Own], said: str) -> None:
    torch.manual_seed(0)
    found = try_packing(kind(OwnConfig()), pooler=False)
    assert isinstance(found, str)
    assert found.startswith(said)


def test_a_mask_that_follows_the_name_of_the_attention_is_noticed() -> None:
    encoder = make_encoder("bert")
    forward = encoder.forward

    def without_mask_under_other_names(*args: Any, **kwargs: Any) -> Any:
        if encoder.config._attn_implementation != "sdpa":
            kwargs["attention_mask"] = None
        return forward(*args, **kwargs)

    encoder.forward = without_mask_under_other_names  # type: ignore[method-assign]
    assert try_packing(encoder, pooler=False) == "its padded rows change with the name of its attention"


def test_a_buffer_of_as_many_tokens_as_there_are_positions_is_noticed() -> None:
    encoder = make_encoder("bert")
    forward, most = encoder.forward, encoder.config.max_position_embeddings

    def cutting(input_ids: torch.Tensor, **kwargs: Any) -> Any:
        kept = torch.arange(input_ids.shape[1]).clamp(max=most - 1)
        return forward(input_ids[:, kept], **kwargs)

    encoder.forward = cutting  # type: ignore[method-assign]
    found = try_packing(encoder, pooler=False)
    assert isinstance(found, str)
    assert found.startswith("rows beyond its 64 positions differ by ")
