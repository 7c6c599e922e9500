import pytest
import torch

from hf_mtl.modeling.moments import RunningMoments


def step(moments: RunningMoments, *parts: tuple[torch.Tensor, torch.Tensor]) -> None:
    for mean, log_variance in parts:
        moments.observe(mean, log_variance)
    moments.update(moments.step_sums())


def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator) + 2.0, torch.randn(count, 3, generator=generator) - 1.0


def test_moments_of_one_step_are_those_of_latents_of_random_examples() -> None:
    moments = RunningMoments(3)
    mean, log_variance = rows(50, seed=0)
    step(moments, (mean[:7], log_variance[:7]), (mean[7:], log_variance[7:]))
    found_mean, found_variance = moments.moments()
    torch.testing.assert_close(found_mean, mean.mean(dim=0))
    torch.testing.assert_close(found_variance, log_variance.exp().mean(dim=0) + mean.var(dim=0, correction=0))


def test_every_row_counts_the_same_and_older_steps_less() -> None:
    moments = RunningMoments(3, momentum=0.5)
    old, new = rows(6, seed=0), rows(2, seed=1)
    step(moments, old)
    step(moments, new)
    expected = (0.5 * old[0].sum(dim=0) + new[0].sum(dim=0)) / (0.5 * 6 + 2)
    torch.testing.assert_close(moments.moments()[0], expected)


def test_steps_without_rows_change_nothing() -> None:
    moments = RunningMoments(3)
    assert not moments.seen
    assert all(value.isfinite().all() for value in moments.moments())
    step(moments)
    assert not moments.seen
    step(moments, rows(4, seed=0))
    before = moments.sums.clone()
    step(moments, rows(0, seed=0))
    assert moments.seen
    assert torch.equal(moments.sums, before)


def test_rows_do_not_count_before_the_step_is_closed_and_count_once() -> None:
    moments = RunningMoments(3)
    moments.observe(*rows(4, seed=0))
    assert not moments.seen
    moments.update(moments.step_sums())
    assert moments.step_sums().tolist() == [0.0] * 7
    assert moments.sums[0].item() == 4.0


def test_variances_are_never_zero() -> None:
    moments = RunningMoments(1)
    step(moments, (torch.full((8, 1), 300.0), torch.full((8, 1), -10.0)))
    assert moments.moments()[1].item() == pytest.approx(torch.tensor(-10.0).exp().item())


def test_statistics_survive_a_round_trip_and_are_forgotten_on_demand() -> None:
    moments, other = RunningMoments(3), RunningMoments(3)
    step(moments, rows(4, seed=0))
    other.load_state_dict(moments.state_dict())
    assert torch.equal(torch.cat(other.moments()), torch.cat(moments.moments()))
    moments.reset()
    assert not moments.seen
