import pytest
import torch
from scipy.stats import kstest

from hf_mtl.modeling.noise import Noise

KEYS = torch.arange(20_000, dtype=torch.int64) * 7919 - 3


def test_the_same_keys_give_the_same_numbers() -> None:
    noise = Noise(KEYS, step=5)
    torch.testing.assert_close(noise.normal(3), Noise(KEYS.clone(), step=5).normal(3), rtol=0, atol=0)


def test_a_row_keeps_its_numbers_wherever_it_stands() -> None:
    noise = Noise(KEYS, step=5)
    backwards = Noise(KEYS.flip(0), step=5).normal(4).flip(0)
    torch.testing.assert_close(noise.segment(10, 20).normal(4), noise.normal(4)[10:20], rtol=0, atol=0)
    torch.testing.assert_close(backwards, noise.normal(4), rtol=0, atol=0)


def test_a_narrower_draw_is_the_beginning_of_a_wider_one() -> None:
    torch.testing.assert_close(Noise(KEYS, 0).normal(2), Noise(KEYS, 0).normal(5)[:, :2], rtol=0, atol=0)


@pytest.mark.parametrize("stream", ["", "latent/emotion"])
def test_draws_are_standard_normal(stream: str) -> None:
    draws = Noise(KEYS, step=1).normal(2, stream)
    assert draws.dtype == torch.float32
    assert torch.isfinite(draws).all()
    for column in draws.T:
        assert kstest(column.numpy(), "norm").pvalue > 1e-3
    # 20,000 pairs: the correlation's standard error is 0.007.
    assert abs(torch.corrcoef(draws.T)[0, 1]) < 0.03


def test_neighbouring_keys_columns_and_streams_are_uncorrelated() -> None:
    noise = Noise(KEYS, step=1)
    first, second = noise.normal(1, "a")[:, 0], noise.normal(1, "b")[:, 0]
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1]) < 0.03


def test_step_draws_depend_on_the_step_and_not_on_the_rows() -> None:
    few, many = Noise(KEYS[:2], step=9), Noise(KEYS, step=9)
    torch.testing.assert_close(few.step_normal(6, "w"), many.step_normal(6, "w"), rtol=0, atol=0)
    assert not torch.equal(few.step_uniform(6), Noise(KEYS[:2], step=10).step_uniform(6))
    uniform = many.step_uniform(50_000)
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert kstest(uniform.numpy(), "uniform").pvalue > 1e-3


def test_drawn_keys_follow_the_seed() -> None:
    def draw() -> torch.Tensor:
        torch.manual_seed(3)
        return Noise.draw(4, torch.device("cpu")).normal(2)

    assert torch.equal(draw(), draw())
    assert Noise(torch.zeros(0, dtype=torch.int64), 0).normal(3).shape == (0, 3)


def test_a_batch_without_keys_draws_only_where_a_head_asks() -> None:
    features = torch.zeros(2, 5)
    before = torch.get_rng_state()
    planned = Noise.of_batch({"rows": KEYS[:2], "step": 9}, features, draws=True)
    assert torch.equal(planned.normal(3), Noise(KEYS[:2], 9).normal(3))
    assert Noise.of_batch(None, features, draws=False).rows.tolist() == [0, 0]
    assert torch.equal(torch.get_rng_state(), before)
    assert Noise.of_batch(None, features, draws=True).rows.unique().numel() == 2
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("word", [-1, 0])
def test_the_largest_and_the_smallest_draw_are_finite(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.modeling.noise._mix", lambda value: torch.full_like(value, word))
    noise = Noise(torch.arange(2), 3)
    assert noise.normal(2).isfinite().all()
    assert (-(-noise.step_uniform(2).log()).log()).isfinite().all()
