"""The best span of a row: compared with all spans, one by one."""

import numpy as np
import pytest
import torch

from hf_mtl.data.asked_contexts import AskedContext, window_places
from hf_mtl.evaluation import spans
from hf_mtl.evaluation.spans import (
    SpanOutputs,
    best_spans,
    keep_best,
    right_logits,
    several_spans,
    softmaxes,
    span_outputs,
)
from hf_mtl.tasks.learning import NO_SITE

WIDTHS = [[7, 3], [5, 0], [1, 0], [2, 6]]  # sites of each window; 0: there is no such window


def logits(seed: int = 0) -> np.ndarray:
    found = np.full((len(WIDTHS), 2, 7, 2), NO_SITE, dtype=np.float32)
    random = np.random.default_rng(seed)
    for row, widths in enumerate(WIDTHS):
        for window, wide in enumerate(widths):
            found[row, window, :wide] = random.normal(size=(wide, 2)) * 3
    return found


def by_hand(raw: np.ndarray, row: int, longest: int) -> tuple[list[tuple[float, int, int, int]], float]:
    found, nulls = [], []
    for window, wide in enumerate(WIDTHS[row]):
        if not wide:
            continue
        there = raw[row, window, :wide].astype(np.float64)
        logs = there - np.log(np.exp(there).sum(axis=0))
        nulls.append(logs[0].sum())
        found += [
            (logs[first, 0] + logs[last, 1], window, first, last)
            for first in range(1, wide)
            for last in range(first, min(first + longest, wide))
        ]
    return sorted(found, reverse=True), min(nulls)


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_span_is_the_best_of_all_and_no_answer_the_least_of_all_windows(longest: int) -> None:
    raw = logits()
    found = best_spans(torch.from_numpy(raw), longest).numpy()
    several = list(several_spans(raw, longest, 5))
    for row in range(len(raw)):
        expected, null = by_hand(raw, row, longest)
        assert found[row, 4] == pytest.approx(null, abs=1e-5)
        assert several[row][1] == pytest.approx(null, abs=1e-5)
        assert [span[1:] for span in several[row][0]] == [span[1:] for span in expected[:5]]
        if expected:
            assert tuple(found[row, :3]) == expected[0][1:]
            assert found[row, 3] == pytest.approx(expected[0][0], abs=1e-5)
    assert found[2, :3].tolist() == [0, 0, 0], "a context without tokens has no span"
    assert span_outputs(raw, longest).without_span.tolist() == [False, False, True, False]
    assert span_outputs(raw, longest).null_over_best[2] == np.inf


def test_rows_have_the_same_spans_in_wider_outputs_in_parts_and_with_a_temperature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = logits(3)
    whole = best_spans(torch.from_numpy(raw), 4).numpy()
    wider = np.full((4, 5, 11, 2), NO_SITE, dtype=np.float32)
    wider[:, :2, :7] = raw
    np.testing.assert_allclose(best_spans(torch.from_numpy(wider), 4).numpy(), whole, rtol=1e-6)
    monkeypatch.setattr(spans, "_ELEMENTS", 1)
    np.testing.assert_array_equal(best_spans(torch.from_numpy(raw), 4).numpy(), whole)
    hot = best_spans(torch.from_numpy(np.float32(raw / 20)), 1).numpy()
    assert np.isfinite(hot).all()
    assert hot[2, :3].tolist() == [0, 0, 0]


def test_of_equal_spans_the_first_is_taken() -> None:
    raw = np.where(logits() > NO_SITE, 0, NO_SITE).astype(np.float32)
    assert best_spans(torch.from_numpy(raw), 4)[0, :3].tolist() == [1, 1, 1], "of the shorter window, surer of each"
    raw[:, 1] = NO_SITE
    assert best_spans(torch.from_numpy(raw), 4)[0, :3].tolist() == [0, 1, 1]


def test_what_is_kept_is_what_is_found_and_an_output_that_is_not_finite_breaks_its_row() -> None:
    raw = logits()
    kept = keep_best(3)
    small = kept.of(torch.from_numpy(raw)).numpy()
    assert small.shape == (4, kept.width)
    np.testing.assert_array_equal(small, span_outputs(raw, 3).values)
    raw[1, 0, 2, 1], raw[3, 1, 0, 0] = np.nan, np.inf
    assert span_outputs(raw, 3).broken == 2
    assert np.isnan(span_outputs(raw, 3).values).all(axis=1).tolist() == [False, True, False, True]


def test_what_a_baseline_says_is_in_characters() -> None:
    said = np.array([[[4, 7], [-0.1, -2.0]], [[0, 3], [-3.0, -0.5]]])
    found = span_outputs(said, 3)
    assert found.texts(np.array([AskedContext("the red fox", ()), AskedContext("a hen", ())])) == ["red", "a h"]
    np.testing.assert_allclose(found.null_over_best, [-1.9, 2.5])
    assert not found.without_span.any()


def test_right_logits_find_the_answer_or_none() -> None:
    tokens = np.array([[0, 3], [4, 7], [8, 11]], dtype=np.int32)
    text = "the red fox"
    rows = np.empty(2, dtype=object)
    rows[:] = [AskedContext(text, ((4, 11),), (tokens[:2], tokens[1:])), AskedContext(text, (), (tokens,))]
    raw = right_logits(rows)
    assert raw.shape == (2, 2, 4, 2)
    found = span_outputs(raw, 30)
    assert found.texts(rows)[0] == "red fox"
    assert (found.null_over_best > 0).tolist() == [False, True]
    logits_of, right = softmaxes(raw, rows)
    assert logits_of.shape == (6, 4)
    assert right.tolist() == [0, 1, 0, 0, 2, 0]
    assert (logits_of.argmax(axis=1) == right).all()
    assert window_places(rows).tolist() == [[[0, 0], [1, 2]], [[0, 0], [-100, -100]]]


def test_no_rows_have_no_spans() -> None:
    assert best_spans(torch.zeros(0, 1, 3, 2), 3).shape == (0, 5)
    assert len(SpanOutputs(np.zeros((0, 5)))) == 0
