import pytest
import torch
from torch import nn

from hf_mtl.modeling.heads.plain_form import Affine, PlainForm
from tests.modeling.families import make_model


@pytest.mark.parametrize(
    "head",
    [
        "linear",
        {"type": "linear", "bias": False},
        "mlp",
        {"type": "mlp", "hidden": 5},
        "vip",
        {"type": "vip", "hidden": 0},
        {"type": "hierarchical", "dim": 6},
        {"type": "mt_vib", "dim": 6},
        {"type": "vmtl", "dim": 6},
    ],
)
def test_the_plain_form_of_a_head_gives_what_the_head_predicts(head: object) -> None:
    model = make_model("bert", head)
    features = torch.randn(4, 16) * 5
    for task in model.tasks:
        module = model.heads.of(task)
        if hasattr(module.head, "log_tau"):
            nn.init.constant_(module.head.log_tau, 1.5)  # a deviation that shows
        form = module.head.plain_form()
        assert form is not None
        torch.testing.assert_close(form(features).float(), module.head(features).detach(), rtol=1e-5, atol=1e-5)


def test_heads_of_other_layers_have_none() -> None:
    assert make_model("bert", "native").heads.of("train").head.plain_form() is None
    convolutions = make_model("bert", "stl_cnn", freeze="encoder")
    assert convolutions.heads.of("train").head.plain_form() is None


def test_scaling_moves_each_output() -> None:
    form = PlainForm((Affine.of(torch.randn(2, 3), torch.randn(2)),))
    features = torch.randn(5, 3)
    moved = form.scaled(torch.tensor([2.0, 0.5]), torch.tensor([1.0, -1.0]))(features)
    expected = form(features) * torch.tensor([2.0, 0.5]).double() + torch.tensor([1.0, -1.0]).double()
    torch.testing.assert_close(moved, expected)
    torch.testing.assert_close(form.scaled(0.25)(features), form(features) / 4)


def test_strong_maps_have_the_same_shapes_and_a_shift_only_where_there_is_one() -> None:
    form = PlainForm((Affine.of(torch.zeros(4, 3), torch.ones(4)), Affine.of(torch.zeros(2, 4))))
    first, last = form.strong().layers
    assert (first.weight.shape, last.weight.shape) == ((4, 3), (2, 4))
    assert bool(first.bias.any())
    assert not bool(last.bias.any())
    assert float(first.weight.abs().max()) > 1
