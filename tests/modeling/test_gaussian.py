import json
from pathlib import Path

import pytest
import torch

from hf_mtl.modeling.gaussian import (
    Gaussian,
    bounded,
    gaussian_kl,
    gumbel_softmax,
    keep_bounded,
    linear_variance,
    reduce_kl,
    sample,
    standard_kl,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "head_gaussian_kl.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_divergence_equals_the_golden_one(case: dict) -> None:
    names = ("mu_q", "logvar_q", "mu_p", "logvar_p")
    divergence = gaussian_kl(*(torch.tensor(case["inputs"][name], dtype=torch.float64) for name in names))
    expected = torch.tensor(case["expected"]["kl_per_example_sum"], dtype=torch.float64)
    tolerances = {"rtol": GOLDEN["rtol"], "atol": GOLDEN["atol"]}
    torch.testing.assert_close(reduce_kl(divergence, "sum"), expected, **tolerances)
    mean = reduce_kl(divergence, "mean").mean().item()
    assert mean == pytest.approx(case["expected"]["kl_mean"], rel=GOLDEN["rtol"], abs=GOLDEN["atol"])


def test_standard_divergence_is_that_from_a_standard_prior() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(4, 3), torch.randn(3)
    expected = gaussian_kl(mean, log_variance.expand(4, 3), torch.zeros(3), torch.zeros(3))
    torch.testing.assert_close(standard_kl(mean, log_variance), expected)
    assert standard_kl(torch.zeros(2), torch.zeros(2)).tolist() == [0.0, 0.0]
    assert standard_kl(mean.bfloat16(), log_variance.bfloat16()).dtype == torch.float32


def test_log_variances_are_bounded_in_float32() -> None:
    found = bounded(torch.tensor([-50.0, 2.0, 50.0], dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert found.tolist() == [-10.0, 2.0, 10.0]


def test_learned_log_variances_are_bounded_in_place() -> None:
    parameter = torch.nn.Parameter(torch.tensor([-50.0, 2.0, 50.0]))
    keep_bounded(parameter)
    assert parameter.tolist() == [-10.0, 2.0, 10.0]


def test_a_sample_has_the_mean_and_the_variance_it_was_asked_for() -> None:
    torch.manual_seed(0)
    samples = sample(torch.tensor([1.0, -2.0]), torch.tensor([0.0, -1.0]), torch.randn(50_000, 2))
    torch.testing.assert_close(samples.mean(dim=0), torch.tensor([1.0, -2.0]), rtol=0.0, atol=0.02)
    torch.testing.assert_close(samples.var(dim=0), torch.tensor([0.0, -1.0]).exp(), rtol=0.03, atol=0.0)


def test_mixing_weights_follow_their_probabilities_and_sum_to_one() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, 2.0])
    draws = torch.stack([gumbel_softmax(logits, torch.rand(3), 0.05) for _ in range(4000)])
    torch.testing.assert_close(draws.sum(dim=1), torch.ones(4000))
    # Near one-hot at this temperature; a share of 4,000 draws has a standard error below 1%.
    torch.testing.assert_close(draws.mean(dim=0), logits.softmax(dim=0), rtol=0.0, atol=0.03)


def test_an_element_left_out_of_the_mixture_has_weight_zero_and_finite_gradients() -> None:
    logits = torch.tensor([0.3, 0.0, -0.2], requires_grad=True)
    weights = gumbel_softmax(logits.masked_fill(torch.tensor([False, True, False]), -torch.inf), torch.rand(3), 0.5)
    assert weights[1].item() == 0.0
    weights[0].backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1].item() == 0.0
    assert logits.grad[0].item() != 0.0


def test_linear_variance_is_exact_and_float32_under_autocast() -> None:
    variance, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.001, 3.0], [0.0, -1.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = linear_variance(variance, weight)
    torch.testing.assert_close(found, torch.tensor([[1.001**2 + 18.0, 2.0]]))


def test_a_gaussian_of_every_row_is_float32_and_in_bounds_and_measured_from_its_prior() -> None:
    features = torch.tensor([[1.0, -2.0]], dtype=torch.bfloat16)
    found = Gaussian.of(features, torch.nn.Identity(), lambda x: 100 * x)  # type: ignore[arg-type]
    assert found.mean.dtype == found.log_variance.dtype == torch.float32
    assert found.log_variance.tolist() == [[10.0, -10.0]]
    noise = torch.tensor([[0.5, 0.5]])
    torch.testing.assert_close(found.sample(noise), sample(*found, noise))
    torch.testing.assert_close(found.kl("sum"), standard_kl(*found).sum(dim=-1))
    torch.testing.assert_close(found.kl("mean", found), torch.zeros(1))
