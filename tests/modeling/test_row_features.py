"""The layout is settled once, said once, and stays right whatever happens to the model in between."""

import copy
import logging
import pickle
from collections.abc import Callable

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface

from hf_mtl.batch import EncoderLayout
from hf_mtl.modeling import MultiTaskModel, products, row_features
from hf_mtl.modeling.packed_attention import packs_now
from tests.modeling.families import make_model, packed_rows


def outputs(model: MultiTaskModel) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([one.flatten() for one in model(**packed_rows("bert")).logits.values()])


def test_a_layout_is_settled_and_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    settle = row_features.settle_layout
    monkeypatch.setattr(row_features, "settle_layout", lambda *args: tried.append(args[1:]) or settle(*args))
    model = make_model("bert")
    with caplog.at_level(logging.INFO, "hf_mtl"):
        for _ in range(3):
            model.settle_layout()
        assert len(tried) == 1
        said = [record.getMessage() for record in caplog.records if "reach the encoder" in record.getMessage()]
        assert said == [f"Rows reach the encoder {model.layout_words}."]
        model.settle_layout("groups")
        model.settle_layout("groups", torch.bfloat16)  # another precision: another kernel, perhaps
    assert [one[0] for one in tried] == ["auto", "groups", "groups"]


@pytest.mark.parametrize("layout", ["groups", "padded"])
def test_layouts_take_turns(layout: str) -> None:
    model = make_model("bert")
    model.settle_layout("packed")
    expected = outputs(model)
    model.settle_layout(layout)  # type: ignore[arg-type]
    assert not packs_now(model.encoder)
    assert not model.packs
    torch.testing.assert_close(outputs(model), expected)
    model.settle_layout("packed")
    assert torch.equal(outputs(model), expected)


@pytest.mark.parametrize("own", ["eager", "sdpa"])
def test_an_attention_that_is_chosen_later_packs_too(own: str) -> None:
    model = make_model("bert")
    model.settle_layout()
    expected = outputs(model)
    model.set_attn_implementation(own)
    torch.testing.assert_close(outputs(model), expected)
    assert packs_now(model.encoder)
    model.set_attn_implementation(own)
    model.settle_layout()
    assert packs_now(model.encoder)


def test_copies_pack_as_their_model_does() -> None:
    model = make_model("bert")
    model.settle_layout()
    expected = outputs(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(outputs(copied), expected)


def test_a_model_is_unpickled_where_the_attention_of_packed_rows_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("bert")
    model.settle_layout()
    expected, alone = outputs(model), model(torch.tensor([[2, 7, 3]])).features
    pickled = pickle.dumps(model)
    for interface in (AttentionInterface, AttentionMaskInterface):  # as in a new process
        monkeypatch.delitem(interface._global_mapping, str(model.encoder.config._attn_implementation))
    copied = pickle.loads(pickled)
    assert torch.equal(copied(torch.tensor([[2, 7, 3]])).features, alone)
    assert torch.equal(outputs(copied), expected)


def compiled(model: MultiTaskModel) -> None:
    model.encoder._compiled_call_impl = lambda: None


def runs_again(model: MultiTaskModel) -> None:
    model.gradient_checkpointing_enable()


@pytest.mark.parametrize(
    ("asked", "precision", "also", "said"),
    [
        ("auto", None, None, True),
        ("groups", None, None, True),
        ("padded", None, None, False),
        ("auto", torch.bfloat16, None, False),
        ("auto", None, compiled, False),
        ("auto", None, runs_again, False),
    ],
)
def test_whose_products_are_not_torchs_is_said(
    asked: EncoderLayout,
    precision: torch.dtype | None,
    also: Callable[[MultiTaskModel], None] | None,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "has_faster", lambda: True)
    model = make_model("bert")
    model.settle_layout(asked, precision)
    if also is not None:
        also(model)
    assert model.layout_words.endswith("; products by oneDNN") is said
