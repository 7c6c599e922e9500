"""The attention that packs: what it does with packed rows, and with others what the encoder's own does."""

import copy
from typing import Any

import pytest
import torch
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_mtl.modeling.attention_kernels import Kernels, Layer, PackedRows, by_rectangles
from hf_mtl.modeling.packed_attention import (
    implementation_for,
    own_implementation,
    packed_masks,
    packs_now,
    set_attention,
)
from tests.modeling.packing_families import make_encoder
from tests.packs import pack


def test_a_name_stands_for_each_attention_and_is_registered_once() -> None:
    name = implementation_for("sdpa")
    assert implementation_for(name) == name
    assert own_implementation(name) == own_implementation("sdpa") == "sdpa"
    function = AttentionInterface._global_mapping[name]
    assert implementation_for("sdpa") == name
    assert AttentionInterface._global_mapping[name] is function


@pytest.mark.parametrize("own", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["bert", "modernbert", "llama", "gemma3_text"])
def test_rows_that_are_not_packed_keep_their_bits(family: str, own: str) -> None:
    encoder = make_encoder(family).eval()
    set_attention(encoder, own)
    ids = torch.randint(2, 60, (3, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 12:] = mask[2, 1:] = 0
    for inputs in ({"attention_mask": mask}, {}):
        expected = encoder(input_ids=ids, **inputs).last_hidden_state
        set_attention(encoder, implementation_for(own))
        assert packs_now(encoder)
        assert torch.equal(encoder(input_ids=ids, **inputs).last_hidden_state, expected)
        set_attention(encoder, own)
        assert not packs_now(encoder)


def test_flash_attention_is_called_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder("bert").eval()
    seen = []

    def flash(module: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(module.config._attn_implementation)
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, *args, **kwargs)

    monkeypatch.setitem(AttentionInterface._global_mapping, "flash_attention_2", flash)
    name = implementation_for("flash_attention_2")
    set_attention(encoder, name)
    encoder(input_ids=torch.tensor([[5, 6, 7]]))
    assert seen == ["flash_attention_2"] * 2
    assert encoder.config._attn_implementation == name


def test_packed_rows_have_no_masks_made() -> None:
    encoder = make_encoder("gemma3_text").eval()
    set_attention(encoder, implementation_for("sdpa"))
    ids = torch.full((1, 12), 5)
    made: list[Any] = []
    encoder.layers[0].self_attn.register_forward_pre_hook(
        lambda module, args, kwargs: made.append(kwargs["attention_mask"]), with_kwargs=True
    )
    rows = PackedRows.of(pack(torch.ones(2, 6, dtype=torch.long), torch.ones(2, 6, dtype=torch.long)), Kernels())
    with packed_masks():
        encoder(input_ids=ids, packed_rows=rows)
    encoder(input_ids=ids)
    assert made[0] is None
    assert made[1] is not None, "a window of 8 among 12"


@pytest.mark.parametrize("unknown", ["softcap", "position_bias", "s_aux"])
def test_what_packed_rows_know_nothing_of_is_refused(unknown: str) -> None:
    function = AttentionInterface._global_mapping[implementation_for("sdpa")]
    rows = PackedRows.of(pack(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long)), Kernels())
    three = [torch.randn(1, 2, 4, 8) for _ in range(3)]
    module = torch.nn.Module()
    module.is_causal = False
    found, _ = function(module, *three, packed_rows=rows, sliding_window=None)
    layer = Layer(2, 2, 8, 8, None, False, None)
    assert torch.equal(found, by_rectangles((three[0], three[1], three[2]), rows, layer, 0.0))
    with pytest.raises(ValueError, match=unknown):
        function(module, *three, packed_rows=rows, **{unknown: 1.0})


def test_no_name_of_ours_is_saved_or_inherited() -> None:
    encoder = make_encoder("bert")
    set_attention(encoder, implementation_for("sdpa"))
    assert "hf_mtl" not in str(encoder.config.to_dict())
    assert "hf_mtl" not in encoder.config.to_json_string(use_diff=False)
    another = type(encoder)(copy.deepcopy(encoder.config))
    another(input_ids=torch.tensor([[5, 6, 7]]))
