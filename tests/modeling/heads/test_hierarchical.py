import pytest
import torch

from tests import tiny
from tests.modeling.heads.probabilistic import DIM, Given, features, golden, has_gradient, head_of, loss, make, noise


@pytest.mark.parametrize("case", golden("head_hierarchical"))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_noise_and_divergence_equal_the_golden_ones(case: dict, reduction: str) -> None:
    latent, log_variance, epsilon = (
        torch.tensor(case["inputs"][key]) for key in ("z_shared", "log_noise_var", "epsilon")
    )
    width = latent.shape[1]
    model = tiny.model(
        tasks={"only": tiny.TASKS["topic"].model_copy(update={"labels": width})},
        head={"type": "hierarchical", "dim": width, "kl_reduction": reduction},
    )
    head = head_of(model, "only")
    with torch.no_grad():
        model.heads.shared_0.projection.weight[:, : len(latent)] = latent.T
        head.log_noise_variance.copy_(log_variance)
        head.classifier.weight.copy_(torch.eye(width))  # the outputs are z_t itself
    decoded = head.decode(torch.eye(16)[: len(latent)], Given(epsilon))
    torch.testing.assert_close(decoded.outputs, torch.tensor(case["expected"]["z_task"]), rtol=1e-5, atol=1e-6)
    expected = case["expected"]["kl_mean" if reduction == "mean" else "kl_sum_over_dims_mean_over_batch"]
    assert decoded.penalties["kl"].values.mean().item() == pytest.approx(expected, rel=1e-5)
    assert decoded.penalties["kl"].coefficient == 1e-3


def test_noise_is_the_tasks_own() -> None:
    model = make("hierarchical")
    heads = [head_of(model, task) for task in ("topic", "mood")]
    with torch.no_grad():
        heads[1].classifier.weight.copy_(heads[0].classifier.weight[:2])
        heads[1].classifier.bias.copy_(heads[0].classifier.bias[:2])
    torch.testing.assert_close(heads[0](features())[:, :2], heads[1](features()))
    left, right = (head.decode(features(), noise()).outputs for head in heads)
    assert (left[:, :2] - right).abs().min() > 1e-4


def test_gradient_reaches_the_features_f_and_the_own_noise() -> None:
    model = make("hierarchical")
    rows = features().requires_grad_()
    loss(head_of(model, "topic").decode(rows, noise())).backward()
    assert rows.grad is not None
    assert rows.grad.norm() > 0
    assert all(has_gradient(head_of(model, "topic")).values())
    assert all(has_gradient(model.heads.shared_0).values())
    assert not any(has_gradient(head_of(model, "mood")).values())


def test_variance_is_that_of_many_samples() -> None:
    head = head_of(make("hierarchical"), "topic")
    with torch.no_grad():
        head.log_noise_variance.copy_(torch.linspace(-2, 1, DIM))
    row = features(1)
    samples = head.decode(row.expand(20_000, -1), noise(20_000)).outputs
    # The standard error of a variance of 20,000 normal numbers is 1%.
    torch.testing.assert_close(samples.var(dim=0), head.variance(row)[0], rtol=0.05, atol=0.0)


def test_the_noise_stays_in_its_range_and_is_logged() -> None:
    head = head_of(make("hierarchical"), "mood")
    assert head.gauges()["noise_variance"].item() == 1.0
    with torch.no_grad():
        head.log_noise_variance.copy_(torch.linspace(-30, 30, DIM))
    head.end_step(head.step_sums())
    assert head.log_noise_variance.abs().max().item() == 10.0
    decoded = head.decode(features(), noise())
    decoded.penalties["kl"].values.sum().backward()
    assert (head.log_noise_variance.grad != 0).all(), "a bound must not be the end"
