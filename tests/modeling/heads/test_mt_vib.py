import pytest
import torch

from hf_mtl.modeling import build_head
from hf_mtl.modeling.heads.mt_vib import Bottleneck
from tests import tiny
from tests.modeling.heads.probabilistic import DIM, Given, features, golden, has_gradient, head_of, loss, make, noise


@pytest.mark.parametrize("case", golden("head_gaussian_kl"))
def test_divergence_from_the_standard_normal_equals_the_golden_formula(case: dict) -> None:
    # The golden cases have priors of their own; in units of the prior the divergence is that from N(0, I).
    of_prior = [torch.tensor(case["inputs"][key], dtype=torch.float64) for key in ("mu_p", "logvar_p")]
    mean, log_variance = (torch.tensor(case["inputs"][key], dtype=torch.float64) for key in ("mu_q", "logvar_q"))
    mean, log_variance = (mean - of_prior[0]) * (-of_prior[1] / 2).exp(), log_variance - of_prior[1]
    width = mean.shape[1]
    model = tiny.model(head={"type": "mt_vib", "dim": width, "kl_reduction": "sum"})
    head, rows = head_of(model, "topic"), torch.eye(16)[: len(mean)]
    bottleneck = model.heads.shared_0
    with torch.no_grad():  # the row of an identity picks a column of the weights
        bottleneck.mean.weight[:, : len(mean)] = mean.T.float()
        bottleneck.log_variance.weight[:, : len(mean)] = log_variance.T.float()
    values = head.decode(rows, noise(len(mean))).penalties["kl"].values
    expected = torch.tensor(case["expected"]["kl_per_example_sum"])
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)  # float32


def test_all_tasks_share_one_bottleneck() -> None:
    model = make("mt_vib")
    bottlenecks = [module for module in model.modules() if isinstance(module, Bottleneck)]
    assert len(bottlenecks) == 1
    before = {task: head_of(model, task)(features()) for task in tiny.TASKS}
    with torch.no_grad():
        bottlenecks[0].mean.bias += 1.0
    for task, outputs in before.items():
        assert not torch.allclose(head_of(model, task)(features()), outputs)


def test_heads_that_see_a_row_see_the_same_latent() -> None:
    model = make("mt_vib")
    heads = [head_of(model, task) for task in ("topic", "mood")]
    with torch.no_grad():
        heads[1].classifier.weight.copy_(heads[0].classifier.weight[:2])
        heads[1].classifier.bias.copy_(heads[0].classifier.bias[:2])
    left, right = (head.decode(features(), noise()).outputs for head in heads)
    torch.testing.assert_close(left[:, :2], right)


def test_sampling_adds_the_deviation_times_the_noise() -> None:
    model = make("mt_vib")
    head, bottleneck = head_of(model, "topic"), model.heads.shared_0
    epsilon = torch.randn(5, DIM, generator=torch.Generator().manual_seed(2))
    rows = features()
    latent = bottleneck.mean(rows) + bottleneck.log_variance(rows).exp().sqrt() * epsilon
    torch.testing.assert_close(head.decode(rows, Given(epsilon)).outputs, head.classifier(latent))
    torch.testing.assert_close(head(rows), head.classifier(bottleneck.mean(rows)))


def test_gradient_reaches_the_features_the_bottleneck_and_the_own_classifier() -> None:
    model = make("mt_vib")
    rows = features().requires_grad_()
    loss(head_of(model, "topic").decode(rows, noise())).backward()
    assert rows.grad is not None
    assert rows.grad.norm() > 0
    assert all(has_gradient(head_of(model, "topic")).values())
    assert all(has_gradient(model.heads.shared_0).values())
    assert not any(has_gradient(head_of(model, "mood")).values())


def test_variance_is_that_of_many_samples() -> None:
    head = head_of(make("mt_vib"), "topic")
    row = features(1)
    samples = head.decode(row.expand(20_000, -1), noise(20_000)).outputs
    # The standard error of a variance of 20,000 normal numbers is 1%.
    torch.testing.assert_close(samples.var(dim=0), head.variance(row)[0], rtol=0.05, atol=0.0)
    torch.testing.assert_close(samples.mean(dim=0), head(row)[0], rtol=0.0, atol=0.05)


def test_dropout_lies_on_the_latent() -> None:
    head = build_head({"type": "mt_vib", "dropout": 0.3}, 16, tiny.TASKS["mood"], tiny.model().encoder.config)
    assert head.dropout.p == 0.3
    assert head.classifier.in_features == 256
