from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification

from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from hf_mtl.modeling.plain_head import head_layers, hold, plain_outputs
from tests.modeling.families import make_model, make_texts

LAYERS = {
    "bert": ["bert.pooler.dense", "classifier"],
    "deberta-v2": ["pooler.dense", "classifier"],
    "distilbert": ["pre_classifier", "classifier"],
    "electra": ["classifier.dense", "classifier.out_proj"],
    "llama": ["score"],
}


@pytest.mark.parametrize("family", LAYERS)
def test_the_layers_behind_an_encoder_are_found_in_their_order(family: str) -> None:
    model = AutoModelForSequenceClassification.from_config(make_model(family, "linear").encoder.config)
    assert list(head_layers(model)) == LAYERS[family]


@pytest.mark.parametrize("activation", [F.relu, F.gelu, F.silu])
def test_pairs_of_units_hold_an_affine_map_exactly(activation: object) -> None:
    form = PlainForm((Affine.of(torch.randn(3, 8), torch.randn(3)),))
    first, last = nn.Linear(8, 9), nn.Linear(9, 3)
    assert hold([first, last], form) is None
    features = torch.randn(20, 8) * 10
    found = last(activation(first(features)))  # type: ignore[operator]
    torch.testing.assert_close(found, form(features).float(), rtol=1e-5, atol=1e-5)


def test_a_smaller_hidden_layer_fits_in_a_larger_one() -> None:
    form = PlainForm((Affine.of(torch.randn(4, 8), torch.randn(4)), Affine.of(torch.randn(2, 4), torch.randn(2))))
    first, last = nn.Linear(8, 8), nn.Linear(8, 2)
    assert hold([first, last], form) is None
    features = torch.randn(5, 8)
    torch.testing.assert_close(last(F.gelu(first(features))), form(features).float())


def _form(*widths: int) -> PlainForm:
    return PlainForm(tuple(Affine.of(torch.randn(out, given), torch.ones(out)) for given, out in pairwise(widths)))


@pytest.mark.parametrize(
    ("layers", "form", "reason"),
    [
        ([nn.Linear(8, 8), nn.Linear(8, 5)], _form(8, 5), "8 units holds an affine map of 4 outputs at most"),
        ([nn.Linear(8, 5)], _form(8, 8, 5), "it is two layers, and that has one layer"),
        ([], _form(8, 5), "that has no layers"),
        ([nn.Linear(8, 8), nn.Linear(8, 5)], _form(8, 9, 5), "it has 9 hidden units, and that has 8"),
        ([nn.Linear(8, 5, bias=False)], _form(8, 5), "it adds a shift, and that has no bias"),
        ([nn.Linear(8, 2)], _form(8, 5), "it maps 8 numbers to 5, and that 8 to 2"),
    ],
)
def test_what_does_not_fit_is_said(layers: list[nn.Linear], form: PlainForm, reason: str) -> None:
    assert reason in str(hold(layers, form))


def test_outputs_of_plain_models_are_those_of_texts() -> None:
    model = AutoModelForSequenceClassification.from_config(make_model("bert", "linear").encoder.config).eval()
    ids, mask = make_texts([4, 2])
    assert torch.equal(plain_outputs(model, ids, mask), model(ids, attention_mask=mask).logits)
