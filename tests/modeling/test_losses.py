import math

import pytest
import torch
from torch.nn import functional as F

from hf_mtl.modeling import mean_loss, row_losses
from hf_mtl.modeling.losses import per_mass
from hf_mtl.tasks import Regression, SequenceClassification, Task

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
LABELS = torch.tensor([0, 2])


def test_cross_entropy_by_hand() -> None:
    first = math.log(1 + math.exp(-2) + math.exp(-3))
    losses = row_losses(SequenceClassification(labels=3), LOGITS, LABELS)
    torch.testing.assert_close(losses, torch.tensor([first, math.log(3)]))


def test_label_smoothing_is_that_of_torch() -> None:
    losses = row_losses(SequenceClassification(labels=3, label_smoothing=0.2), LOGITS, LABELS)
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.2, reduction="none")
    assert torch.equal(losses, expected)


def test_focal_loss_shrinks_easy_rows() -> None:
    losses = row_losses(SequenceClassification(labels=3, loss="focal"), LOGITS, LABELS)
    p = math.exp(2) / (math.exp(2) + 1 + math.exp(-1))
    torch.testing.assert_close(losses, torch.tensor([-((1 - p) ** 2) * math.log(p), (2 / 3) ** 2 * math.log(3)]))


def test_class_weights_scale_rows_of_their_class() -> None:
    task = SequenceClassification(labels=3)
    weighted = row_losses(task, LOGITS, LABELS, torch.tensor([2.0, 7.0, 0.5]))
    torch.testing.assert_close(weighted, row_losses(task, LOGITS, LABELS) * torch.tensor([2.0, 0.5]))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", [(0.25 + 9.0) / 2, 0.0]), ("mae", [1.75, 0.0]), ("huber", [(0.125 + 2.5) / 2, 0.0])],
)
def test_regression_losses_are_averaged_over_targets(loss: str, expected: list[float]) -> None:
    task = Regression(label=["v", "a"], loss=loss)
    losses = row_losses(task, torch.tensor([[0.5, 3.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert losses.tolist() == expected


@pytest.mark.parametrize(
    ("task", "labels"), [(SequenceClassification(labels=3), LABELS), (Regression(label=["a", "b", "c"]), LOGITS)]
)
def test_losses_are_float32_whatever_the_outputs_are(task: Task, labels: torch.Tensor) -> None:
    assert row_losses(task, LOGITS.bfloat16(), labels).dtype == torch.float32


def test_one_target_may_come_as_a_vector() -> None:
    losses = row_losses(Regression(), torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))
    assert losses.tolist() == [0.0, 4.0]


@pytest.mark.parametrize("rows", [1, 7, 33, 200])
def test_mean_is_that_of_torch_to_the_bit(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, 5, (rows,), generator=generator)
    ours = mean_loss(row_losses(SequenceClassification(labels=5), logits, labels))
    theirs = F.cross_entropy(logits, labels)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))


def test_a_mean_over_masses_is_the_sum_over_their_sum() -> None:
    sums = torch.tensor([6.0, 0.0, 3.0])
    assert mean_loss(sums, torch.tensor([2, 0, 1])).item() == per_mass(sums, torch.tensor([2, 0, 1])).item() == 3.0
    assert per_mass(sums).item() == 3.0
    assert per_mass(torch.zeros(2), torch.zeros(2)).item() == 0.0
