"""Who is starved by a weighting, and whose weight no longer moves, is said once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.watch import balance_watch
from hf_mtl.training.watch.balance_watch import STEPS_IN_A_ROW, BalanceWatch
from tests.training.trainers import make

NAMES = ["easy", "hard", "other"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(balance_watch.logger, "warning", lines.append)
    return lines


def follow(name: str, losses: list[list[float]], counts: list[int] | None = None, **options: Any) -> BalanceWatch:
    """A watch that has seen a weighting at these losses, step by step."""
    weighting = build_weighting(name, num_tasks=len(losses[0]), **options)
    weighting.observe(steps_per_epoch=5)
    watch = BalanceWatch(NAMES[: len(losses[0])], weighting, speaks=True)
    rows = torch.tensor(counts or [4] * len(losses[0]))
    for step in losses:
        values = torch.tensor(step, dtype=torch.float64)
        weighting(values, rows > 0)
        ones = torch.ones_like(values)
        watch.observe(StepResult(values, rows, rows, weighting.weights(), ones, ones, ones))
        weighting.observe(losses_after=values)
    return watch


def noisy(first: float, second: float, steps: int = 40) -> list[list[float]]:
    """Two losses, each changing by a tenth of itself from step to step."""
    return [[first * (1 + 0.1 * (-1) ** step), second * (1 - 0.1 * (-1) ** step)] for step in range(steps)]


@pytest.mark.parametrize("name", ["uw_so", "famo", "gls", "slaw", "si", "uw_o"])
def test_a_task_beside_a_loss_near_zero_is_said_to_starve(said: list[str], name: str) -> None:
    follow(name, noisy(1e-6, 1.0))
    assert len(said) == 1
    assert said[0].startswith(
        f"The weighting '{name}' has given 'hard' less than 0.001 of an equal weight in 20 steps"
    )
    assert "The smallest loss is that of 'easy', " in said[0]


def test_a_geometric_mean_of_zero_is_said_to_stop_the_others(said: list[str]) -> None:
    follow("gls", noisy(0.0, 1.0))
    assert len(said) == 1
    assert "'gls' has given 'hard' less" in said[0]


@pytest.mark.parametrize("name", ["ew", "uw", "dwa", "uw_so", "famo", "gls", "slaw", "si", "uw_o", "stch", "rlw"])
def test_nothing_is_said_of_losses_that_differ_tenfold(said: list[str], name: str) -> None:
    follow(name, noisy(0.3, 3.0))
    assert said == []


def test_weights_that_the_user_chose_are_not_commented_on(said: list[str]) -> None:
    follow("fixed", noisy(1.0, 1.0), weights=[1.0, 1e-6])
    assert said == []


def test_it_takes_steps_in_a_row_with_the_task(said: list[str]) -> None:
    starving, resting = noisy(1e-6, 1.0, STEPS_IN_A_ROW - 1), noisy(1.0, 1.0, 1)
    follow("uw_o", starving + resting + starving)
    follow("uw_o", [[*step, 1.0] for step in starving] * 3, counts=[4, 0, 4])
    assert [line for line in said if "'hard'" in line] == []
    follow("uw_o", starving + starving)
    assert len(said) == 2, "the other task of the run before, and the hard one"


def test_an_s_that_rests_at_its_clip_is_said_once_a_run(tmp_path: Path, said: list[str]) -> None:
    uw = {"name": "uw", "clip": 0.01}
    trainer = make(tmp_path, weighting=uw, balancing_learning_rate=1.0, max_steps=STEPS_IN_A_ROW + 8)
    trainer.train()
    resting = [line for line in said if "at the end of its range" in line]
    assert resting == said
    assert len(said) >= 2
    assert len(set(said)) == len(said)
    assert said[0].startswith("The weighting 'uw' has held '")
    assert "Raise balancing.weighting.clip" in said[0]


def test_an_s_that_moves_is_not_commented_on(tmp_path: Path, said: list[str]) -> None:
    make(tmp_path, weighting="uw", max_steps=STEPS_IN_A_ROW + 8).train()
    assert said == []


def test_only_one_process_speaks(said: list[str]) -> None:
    weighting = build_weighting("uw_o", num_tasks=2)
    assert not BalanceWatch(NAMES[:2], weighting, speaks=False)._watches
