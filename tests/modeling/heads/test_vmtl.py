import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl import MultiTaskModel
from hf_mtl.modeling import build_head
from hf_mtl.modeling.gaussian import gaussian_kl, gumbel_softmax, mixed_moments
from hf_mtl.modeling.noise import Noise
from tests import tiny
from tests.modeling.heads.probabilistic import DIM, features, golden, has_gradient, head_of, loss, make, noise

OTHERS = {"topic": ["mood", "score"], "mood": ["score", "topic"], "score": ["mood", "topic"]}


def step(model: MultiTaskModel, number: int, tasks: Any = tiny.TASKS) -> None:
    """One optimizer step without an optimizer."""
    for index, task in enumerate(tasks):
        head_of(model, task).decode(features(4, seed=10 * number + index), noise(4, number))
    model.heads.end_step()


def kl_of_latents(head: Any, rows: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    divergence = gaussian_kl(head.mean(rows), head.log_variance(rows), mean, variance.log())
    return divergence.sum(dim=-1)


@pytest.mark.parametrize("case", golden("head_vmtl_prior"))
def test_prior_equals_the_golden_one(case: dict) -> None:
    given = {key: torch.tensor(value, dtype=torch.float64) for key, value in case["inputs"].items()}
    expected = {key: torch.tensor(value, dtype=torch.float64) for key, value in case["expected"].items()}
    alpha = gumbel_softmax(given["logits"], given["uniform"], given["temperature"])
    mean, variance = mixed_moments(alpha, given["other_mu"], given["other_var"])
    found = {"alpha": alpha, "prior_mu": mean, "prior_var": variance}
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-8, atol=1e-10)


class Uniforms(Noise):
    """Noise whose step-wide uniforms are given."""

    def __init__(self, rows: int, values: Tensor):
        super().__init__(torch.arange(rows), 5)
        self.values = values

    def step_uniform(self, width: int, stream: str = "") -> Tensor:
        return self.values if "prior" in stream else super().step_uniform(width, stream)


@pytest.mark.parametrize("case", golden("head_vmtl_prior"))
def test_the_head_regularises_towards_the_golden_prior(case: dict) -> None:
    given = {key: torch.tensor(value) for key, value in case["inputs"].items()}
    count, width = given["other_mu"].shape
    tasks = {f"task{number}": tiny.TASKS["mood"] for number in range(count + 1)}
    temperature = [case["inputs"]["temperature"]] * 2
    model = tiny.model(
        tasks=tasks, head={"type": "vmtl", "dim": width, "warmup_steps": 0, "temperature": temperature}
    )
    head, rows = head_of(model, "task0"), features()
    with torch.no_grad():
        head.latent_logits.copy_(given["logits"])
        for number in range(count):
            mean, variance = given["other_mu"][number], given["other_var"][number]
            sums = torch.cat([torch.ones(1), mean, variance + mean**2])
            head_of(model, f"task{number + 1}").latent_moments.update(sums)
    found = head.decode(rows, Uniforms(5, given["uniform"])).penalties["kl"].values
    prior = [torch.tensor(case["expected"][key]) for key in ("prior_mu", "prior_var")]
    torch.testing.assert_close(found, kl_of_latents(head, rows, *prior), rtol=1e-4, atol=1e-4)


# ---- Which prior, when ----


def test_priors_are_standard_during_warm_up_and_before_others_are_seen() -> None:
    model = make("vmtl", warmup_steps=2)
    head, rows = head_of(model, "topic"), features()
    zeros, ones = torch.zeros(DIM), torch.ones(DIM)

    def is_standard() -> bool:
        found = copy.deepcopy(head).decode(rows, noise()).penalties["kl"].values
        return torch.allclose(found, kl_of_latents(head, rows, zeros, ones), rtol=1e-4)

    for number in range(2):
        assert is_standard()
        step(model, number)
    assert not is_standard()
    alone = make("vmtl", warmup_steps=0)
    head = head_of(alone, "topic")
    for number in range(3):
        step(alone, number, ["topic"])
    assert is_standard()
    step(alone, 3, ["mood"])
    assert not is_standard()


def test_tasks_that_have_not_been_seen_have_no_share_in_the_prior() -> None:
    model = make("vmtl", warmup_steps=0)
    step(model, 0, ["topic", "mood"])
    rows, head = features(), head_of(model, "topic")
    prior = head_of(model, "mood").latent_moments.moments()  # all of it: the score has no rows yet
    found = head.decode(rows, noise()).penalties
    torch.testing.assert_close(found["kl"].values, kl_of_latents(head, rows, *prior), rtol=1e-4, atol=1e-4)
    mean, variance = head_of(model, "mood").weight_moments()
    weights = gaussian_kl(head.weight_mean, head.weight_log_variance, mean, variance.log()).sum()
    torch.testing.assert_close(found["weight_kl"].values, weights.expand(5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("task", tiny.TASKS)
def test_the_prior_mixes_the_others_in_the_order_of_their_names(task: str) -> None:
    model = make("vmtl", warmup_steps=0, temperature=(0.7, 0.7))
    step(model, 0)
    head, rows = head_of(model, task), features()
    others = [head_of(model, other) for other in OTHERS[task]]
    with torch.no_grad():
        head.latent_logits.copy_(torch.tensor([0.5, -1.0]))
    uniform = torch.tensor([0.3, 0.6])
    alpha = gumbel_softmax(head.latent_logits, uniform, 0.7)
    moments = [other.latent_moments.moments() for other in others]
    mean = sum(a * m for a, (m, _) in zip(alpha, moments, strict=True))
    variance = sum(a**2 * v for a, (_, v) in zip(alpha, moments, strict=True))
    found = head.decode(rows, Uniforms(5, uniform)).penalties["kl"].values
    torch.testing.assert_close(found, kl_of_latents(head, rows, mean, variance), rtol=1e-4, atol=1e-4)


def test_one_task_has_a_standard_prior_and_nothing_to_mix() -> None:
    model = tiny.model(tasks={"mood": tiny.TASKS["mood"]}, head={"type": "vmtl", "dim": DIM, "warmup_steps": 0})
    head = head_of(model, "mood")
    step(model, 0, ["mood"])
    assert head.auxiliary_parameters() == []
    expected = kl_of_latents(head, features(), torch.zeros(DIM), torch.ones(DIM))
    torch.testing.assert_close(
        head.decode(features(), noise()).penalties["kl"].values, expected, rtol=1e-4, atol=1e-4
    )


def test_factors_rise_and_the_temperature_falls_with_the_steps() -> None:
    model = make("vmtl", warmup_steps=4, anneal_steps=2, latent_beta=0.1, weight_beta=0.2)
    head = head_of(model, "mood")
    found = []
    for number in range(8):
        penalties = head.decode(features(), noise()).penalties
        factors = [float(penalties[key].coefficient) for key in ("kl", "weight_kl")]
        found.append([*factors, float(head._temperature())])
        step(model, number, ["topic"])
    shares, temperatures = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0.75, 0.5, 0.5]
    expected = [[0.1 * share, 0.2 * share, t] for share, t in zip(shares, temperatures, strict=True)]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))
    eager = head_of(make("vmtl", warmup_steps=0), "mood").decode(features(), noise())
    assert float(eager.penalties["kl"].coefficient) == pytest.approx(1e-6)


def test_only_steps_with_rows_of_the_task_that_are_finite_count() -> None:
    model = make("vmtl", warmup_steps=0)
    step(model, 0)
    before = {task: copy.deepcopy(head_of(model, task).state_dict()) for task in tiny.TASKS}
    step(model, 1, ["topic"])
    head_of(model, "score").decode(features(4) * float("nan"), noise(4, 2))  # as in a step that is skipped
    model.heads.end_step()
    assert {task: int(head_of(model, task).steps) for task in tiny.TASKS} == {"topic": 2, "mood": 1, "score": 1}
    for task in ("mood", "score"):
        assert all(torch.equal(value, before[task][key]) for key, value in head_of(model, task).state_dict().items())


# ---- Weights ----


def test_weights_are_sampled_once_per_step() -> None:
    head = head_of(make("vmtl"), "topic")
    with torch.no_grad():
        head.log_variance.bias.fill_(-10.0)  # latents hardly vary
        head.log_variance.weight.zero_()
        head.weight_log_variance.fill_(0.0)
    rows = features(1).expand(6, -1)
    outputs = head.decode(rows, noise(6)).outputs
    assert outputs.std(dim=0).max() < 0.1
    again = head.decode(rows, Noise(torch.arange(6) + 1000, noise().step)).outputs
    torch.testing.assert_close(again, outputs, rtol=0.0, atol=0.3)
    assert (head.decode(rows, noise(6, step=12)).outputs - outputs).abs().max() > 0.5


def test_tasks_draw_weights_latents_and_mixtures_of_their_own() -> None:
    streams: list[str] = []

    class Spy(Noise):
        def normal(self, width: int, stream: str = "") -> Tensor:
            streams.append(stream)
            return super().normal(width, stream)

        def step_uniform(self, width: int, stream: str = "") -> Tensor:
            streams.append(stream)
            return super().step_uniform(width, stream)

    model = make("vmtl")
    for task in tiny.TASKS:
        head_of(model, task).decode(features(), Spy(noise().rows, 3))
    assert len(streams) == len(set(streams)) == 4 * len(tiny.TASKS)


def test_the_weights_divergence_is_the_same_on_every_row() -> None:
    values = head_of(make("vmtl"), "topic").decode(features(), noise()).penalties["weight_kl"].values
    assert values.shape == (5,)
    assert len(values.unique()) == 1


def test_weight_moments_are_those_of_a_weight_vector_of_a_random_class() -> None:
    head = head_of(make("vmtl"), "topic")
    torch.manual_seed(0)
    classes = torch.randint(0, 3, (200_000,))
    draws = head.weight_mean[classes] + head.weight_log_variance.exp().sqrt()[classes] * torch.randn(200_000, DIM)
    mean, variance = head.weight_moments()
    torch.testing.assert_close(draws.mean(dim=0), mean, rtol=0.0, atol=2e-3)
    torch.testing.assert_close(draws.var(dim=0), variance, rtol=0.03, atol=0.0)


# ---- Gradient, statistics, variance ----


def test_gradient_reaches_everything_of_the_task_and_nothing_of_the_others() -> None:
    model = make("vmtl", warmup_steps=0)
    step(model, 0)
    rows = features().requires_grad_()
    loss(head_of(model, "topic").decode(rows, noise())).backward()
    assert rows.grad is not None
    assert rows.grad.norm() > 0
    assert all(has_gradient(head_of(model, "topic")).values())
    for other in OTHERS["topic"]:
        assert not any(has_gradient(head_of(model, other)).values())


def test_the_mixing_logits_are_auxiliary() -> None:
    head = head_of(make("vmtl"), "mood")
    assert [id(p) for p in head.auxiliary_parameters()] == [id(head.latent_logits), id(head.weight_logits)]
    assert head.latent_logits.tolist() == head.weight_logits.tolist() == [0.0, 0.0]


def test_running_statistics_do_not_depend_on_micro_batches_or_processes() -> None:
    whole, parts = make("vmtl"), make("vmtl")
    others = copy.deepcopy(parts)  # another process
    for number in range(3):
        rows, keys = features(9, seed=number), noise(9, number)
        head_of(whole, "topic").decode(rows, keys)
        whole.heads.end_step()
        for model, cuts in ((parts, [slice(0, 2), slice(2, 5)]), (others, [slice(5, 9)])):
            for cut in cuts:
                head_of(model, "topic").decode(rows[cut], keys.segment(cut.start, cut.stop))
        sums = {model: [head_of(model, task).step_sums() for task in tiny.TASKS] for model in (parts, others)}
        total = torch.cat([left + right for left, right in zip(*sums.values(), strict=True)])
        for model in (parts, others):
            model.heads.end_step(lambda _, total=total: total.clone())
    expected = whole.heads.state_dict()
    for model in (parts, others):
        for key, value in model.heads.state_dict().items():
            torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)
    assert head_of(parts, "topic").latent_moments.seen
    assert not head_of(parts, "mood").latent_moments.seen


def test_variance_is_that_of_many_samples() -> None:
    head = head_of(make("vmtl"), "mood")
    with torch.no_grad():
        head.weight_log_variance.fill_(-3.0)
    row = features(1)
    with torch.no_grad():
        samples = torch.cat([head.decode(row.expand(4, -1), noise(4, number)).outputs for number in range(1000)])
    # The variance of 1,000 products of normal numbers has a standard error of about 6%.
    torch.testing.assert_close(samples.var(dim=0), head.variance(row)[0], rtol=0.2, atol=0.0)
    torch.testing.assert_close(samples.mean(dim=0), head(row)[0], rtol=0.0, atol=0.1)


def test_a_head_starts_as_in_the_authors_code() -> None:
    head = build_head({"type": "vmtl"}, 64, tiny.TASKS["topic"], tiny.model().encoder.config)
    assert head.mean.out_features == 64
    assert head.weight_mean.std().item() == pytest.approx(0.1, rel=0.2)
    assert math.exp(head.weight_log_variance[0, 0].item() / 2) == pytest.approx(math.log1p(math.exp(-3)), rel=1e-5)
