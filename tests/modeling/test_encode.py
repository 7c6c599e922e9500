"""Packed rows and rectangles give the states of rows alone, pooled as the backbone would."""

from typing import Any

import pytest
import torch

from hf_mtl.modeling.encode import PackedCall, encode_packed, encode_rectangles, encoder_inputs
from hf_mtl.modeling.packed_attention import implementation_for, set_attention
from hf_mtl.modeling.packing import Packing, try_packing
from tests.modeling.families import make_texts
from tests.modeling.packing_families import PACK, make_encoder
from tests.packs import pack

LENGTHS = [12, 3, 5, 11, 1, 12]
GROUPS = [[1, 2, 4], [3], [0, 5]]
POOLERS = ("bert", "albert", "roberta", "camembert")


def rows(pad: int, groups: list[list[int]] | None = GROUPS) -> Any:
    ids, mask = make_texts(LENGTHS, padding=pad)
    types = (torch.arange(12) > 2).long().expand_as(ids) * mask
    return pack(ids, mask, groups, types, pad_id=pad), ids, types


@pytest.mark.parametrize("family", PACK)
def test_packed_rows_and_rectangles_are_rows_alone(family: str) -> None:
    """Rows of 12 tokens are longer than a window of 8, or 8 to either side."""
    encoder = make_encoder(family, type_vocab_size=2).eval()
    pooler = family in POOLERS
    packed, ids, types = rows(pad=0)
    found = try_packing(encoder, pooler)
    assert isinstance(found, Packing)
    with torch.no_grad():
        alone = [
            encoder(**encoder_inputs(encoder, ids[row : row + 1, :length], types[row : row + 1, :length], None))
            for row, length in enumerate(LENGTHS)
        ]
        by_groups = encode_rectangles(encoder, packed, pooler)
        set_attention(encoder, implementation_for("sdpa"))
        in_one = encode_packed(encoder, packed, PackedCall(found.first_position, found.padding), pooler)
    expected = torch.cat([one["last_hidden_state"][0] for one in alone])
    for encoded in (by_groups, in_one):
        torch.testing.assert_close(encoded.states, expected, rtol=1e-4, atol=2e-6)
        if pooler:
            pooled = torch.cat([one["pooler_output"] for one in alone])
            torch.testing.assert_close(encoded.pooler_output, pooled, rtol=1e-4, atol=2e-6)
        else:
            assert encoded.pooler_output is None


@pytest.mark.parametrize("family", ["bert", "roberta", "esm", "modernbert"])
def test_a_text_that_spells_padding_is_packed_as_alone(family: str) -> None:
    encoder = make_encoder(family, pad_token_id=1).eval()
    found = try_packing(encoder, pooler=False)
    assert isinstance(found, Packing)
    ids, mask = make_texts([5, 4, 6], padding=1)
    ids[0, 2] = ids[1, 0] = ids[1, 3] = ids[2, 1] = ids[2, 2] = 1
    packed = pack(ids, mask, pad_id=1)
    with torch.no_grad():
        expected = encode_rectangles(encoder, packed, pooler=False).states
        set_attention(encoder, implementation_for("sdpa"))
        in_one = encode_packed(encoder, packed, PackedCall(found.first_position, found.padding), pooler=False).states
    torch.testing.assert_close(in_one, expected, rtol=1e-4, atol=2e-6)


def test_padding_has_its_own_id_and_type_zero() -> None:
    encoder = make_encoder("roberta", pad_token_id=1, type_vocab_size=2).eval()
    packed, _, _ = rows(pad=1, groups=None)
    seen: list[dict[str, torch.Tensor]] = []
    encoder.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True)
    encode_rectangles(encoder, packed, pooler=False)
    (inputs,) = seen
    padding = inputs["attention_mask"] == 0
    assert padding.sum() == 6 * 12 - sum(LENGTHS)
    assert set(inputs["input_ids"][padding].tolist()) == {1}
    assert set(inputs["token_type_ids"][padding].tolist()) == {0}


def test_an_encoder_gets_what_its_forward_takes() -> None:
    ids = torch.tensor([[5, 6]])
    assert set(encoder_inputs(make_encoder("bert"), ids, ids, ids)) >= {
        "input_ids",
        "attention_mask",
        "token_type_ids",
    }
    assert set(encoder_inputs(make_encoder("distilbert"), ids, ids, None)) == {"input_ids"}
    assert encoder_inputs(make_encoder("llama"), ids, None, None)["use_cache"] is False
