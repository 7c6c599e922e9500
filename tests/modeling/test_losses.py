import pytest
import torch
from torch.nn import functional as F

from hf_mtl import SequenceClassification
from hf_mtl.modeling import mean_loss
from hf_mtl.modeling.losses import per_mass


@pytest.mark.parametrize("rows", [1, 7, 33, 200])
def test_mean_is_that_of_torch_to_the_bit(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, 5, (rows,), generator=generator)
    ours = mean_loss(SequenceClassification(labels=5).row_losses(logits, labels))
    theirs = F.cross_entropy(logits, labels)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))


def test_a_mean_over_masses_is_the_sum_over_their_sum() -> None:
    sums = torch.tensor([6.0, 0.0, 3.0])
    assert mean_loss(sums, torch.tensor([2, 0, 1])).item() == per_mass(sums, torch.tensor([2, 0, 1])).item() == 3.0
    assert per_mass(sums).item() == 3.0
    assert per_mass(torch.zeros(2), torch.zeros(2)).item() == 0.0
