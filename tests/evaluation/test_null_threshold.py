"""The threshold of no answer: the best of all that there could be."""

import numpy as np

from hf_mtl.evaluation.metrics.squad import SquadF1
from hf_mtl.evaluation.null_threshold import tune_null_threshold


def score(odds: np.ndarray, texts: list[str], answers: list[list[str]], threshold: float) -> float:
    said = ["" if row > threshold else text for row, text in zip(odds, texts, strict=True)]
    return float(SquadF1.each(said, answers).mean())


def test_no_threshold_is_better_than_the_one_that_is_chosen() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        odds = np.round(random.normal(2, 2, size=30), 1)
        odds[random.random(30) < 0.1] = np.inf
        answers = [["red fox"] if row < random.normal(2, 1.5) else [] for row in odds]
        texts = ["" if row == np.inf else str(random.choice(["red fox", "fox", "hen"])) for row in odds]
        chosen, notes = tune_null_threshold(odds, texts, answers)
        finite = odds[np.isfinite(odds)]
        cuts = [finite.min() - 1, *finite]
        best = max(score(odds, texts, answers, cut) for cut in cuts)
        assert abs(score(odds, texts, answers, chosen) - best) < 1e-12
        assert notes == []


def test_of_equally_good_ones_it_is_nought_or_the_nearest_to_it_half_way_between_rows() -> None:
    texts, answers = ["fox", "fox", "fox"], [["fox"], ["fox"], []]
    assert tune_null_threshold(np.array([-2.0, -1.0, 3.0]), texts, answers) == (0.0, [])
    assert tune_null_threshold(np.array([1.0, 2.0, 3.0]), texts, answers) == (2.5, [])
    assert tune_null_threshold(np.array([-5.0, -4.0, -2.0]), texts, answers) == (-3.0, [])


def test_rows_of_one_kind_tell_little_which_is_said() -> None:
    chosen, [note] = tune_null_threshold(np.array([1.0, 2.0]), ["a fox", "hen"], [["fox"], ["hen"]])
    assert chosen == 3.0
    assert note == "each of the rows to tune null_threshold on has an answer: they tell little of it."
    chosen, [note] = tune_null_threshold(np.array([-1.0, np.inf]), ["fox", ""], [[], []])
    assert chosen < -1
    assert note.startswith("none of the rows")
    assert tune_null_threshold(np.array([np.inf]), [""], [["fox"]])[0] == 0.0
