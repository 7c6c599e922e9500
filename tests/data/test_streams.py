"""Rows of several tasks are one row, drawn once, with every label that they have."""

from collections import Counter

import numpy as np
import pytest

from hf_mtl.data.dealing import Deal
from hf_mtl.data.plan import Planner, StepPlan
from hf_mtl.data.roster import Roster
from hf_mtl.data.streams import Streams
from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.data.tokens import EncodedSplit, TokenStore

W, B = 5, 6


def split(words: list[int], source: str | None = "s") -> EncodedSplit:
    """Rows of one word each."""
    count = len(words)
    tokens = TokenStore(np.array(words, dtype=np.int32), np.arange(count + 1), np.zeros(count, dtype=bool))
    return EncodedSplit(tokens, np.zeros(count), source=source)


def three() -> Streams:
    """Twelve texts: `a` has a label of each, `b` of the even ones, and `c` reads others."""
    return Streams.of({"a": split(list(range(12))), "b": split([0, 2, 4, 6, 8, 10]), "c": split([1, 2, 3], None)})


def plans(streams: Streams, roster: Roster | None = None, windows: int = 1, **options: object) -> list[StepPlan]:
    planner = Planner(streams.sizes, B, seed=3, window_steps=W, **options)  # type: ignore[arg-type]
    state = planner.first_window(np.array([0.75, 0.25]))
    found = []
    for _ in range(windows):
        drawn = None if roster is None else streams.roster(roster, planner.seed, state.start)
        found += streams.plans(planner, state, roster, planner.window_plans(state, drawn))
        state = planner.next_window(state, state.probabilities, drawn)
    return found


def test_tasks_that_share_rows_are_one_stream_with_the_rows_of_both() -> None:
    streams = three()
    assert streams.names == {"a+b": ["a", "b"], "c": ["c"]}
    assert streams.sizes == {"a+b": 12, "c": 3}
    assert streams.of_task.tolist() == [0, 0, 1]
    assert not streams.are_tasks
    np.testing.assert_array_equal(streams.rows[0], np.arange(12))
    np.testing.assert_array_equal(streams.rows[1], [0, -1, 1, -1, 2, -1, 3, -1, 4, -1, 5, -1])


def test_rows_that_only_a_later_task_has_follow_and_repeated_texts_are_matched_in_turn() -> None:
    streams = Streams.of({"a": split([7, 5, 7]), "b": split([7, 9, 5, 7, 7])})
    np.testing.assert_array_equal(streams.rows[0], [0, 1, 2, -1, -1])
    np.testing.assert_array_equal(streams.rows[1], [0, 2, 3, 1, 4])


def test_without_shared_rows_plans_stay_as_they_are() -> None:
    streams = Streams.of({"a": split([1, 2]), "b": split([1, 2, 3], "other")})
    planner = Planner(streams.sizes, B, seed=3, window_steps=W)
    state = planner.first_window(np.array([0.5, 0.5]))
    drawn, roster = planner.window_plans(state), Roster.everyone(W, 2)
    assert streams.are_tasks
    assert all(mine is theirs for mine, theirs in zip(streams.plans(planner, state, None, drawn), drawn, strict=True))
    assert streams.roster(roster, 3, 0) is roster


def test_a_step_has_each_row_once_with_the_labels_of_all_its_tasks() -> None:
    streams = three()
    for plan in plans(streams):
        assert plan.drawn is not None
        assert plan.drawn.counts.sum() == B == len(plan.drawn.rows)
        of_a, of_b = (sorted(plan.rows[plan.tasks == task].tolist()) for task in (0, 1))
        assert [2 * row for row in of_b] == [row for row in of_a if row % 2 == 0]
        assert plan.counts.tolist() == [len(of_a), len(of_b), int(plan.drawn.counts[1])]
        np.testing.assert_array_equal(plan.nominal, plan.counts)
        assert (np.diff(plan.tasks) >= 0).all()


def test_a_pass_over_the_stream_shows_every_label_once() -> None:
    found = plans(Streams.of({"a": split(list(range(30))), "b": split([0, 2, 4]), "c": split([9], None)}), windows=2)
    seen = Counter((task, row) for plan in found for task, row in zip(plan.tasks, plan.rows, strict=True))
    drawn = sum(int(plan.drawn.counts[0]) for plan in found if plan.drawn is not None)
    assert drawn >= 30
    assert {row for task, row in seen if task == 0} == set(range(30))
    assert {row for task, row in seen if task == 1} == {0, 1, 2}
    assert max(count for (task, _), count in seen.items() if task < 2) <= -(-drawn // 30)


def test_labels_of_an_idle_task_are_missing_and_what_a_schedule_drops_counts_as_before() -> None:
    ones = np.ones((W, 3))
    idle = Roster(ones * [1, 0, 1], ones, np.zeros((W, 3), dtype=bool))
    whole = plans(three())
    for plan, before in zip(plans(three(), idle), whole, strict=True):
        assert plan.counts.tolist() == [before.counts[0], 0, before.counts[2]]
        np.testing.assert_array_equal(plan.nominal, before.nominal)
        assert plan.coefficients.tolist() == [1, 0, 1]
    gone = Roster(ones * [0, 0, 1], ones, np.zeros((W, 3), dtype=bool))
    for plan in plans(three(), gone):
        assert plan.counts[:2].sum() == 0
        assert plan.counts[2] >= 1
        assert plan.drawn is not None
        assert plan.drawn.counts[0] == 0
    # In the first step the rows that would have been drawn come first.
    np.testing.assert_array_equal(plans(three(), gone)[0].nominal, whole[0].nominal)


def test_a_step_whose_rows_have_no_label_of_a_task_that_takes_part_gets_one_row() -> None:
    streams = Streams.of({"a": split(list(range(300))), "b": split([299]), "c": split([1], None)})
    ones = np.ones((W, 3))
    only_b = Roster(ones * [0, 1, 0], ones, np.ones((W, 3), dtype=bool))
    for plan in plans(streams, only_b):
        assert plan.counts.tolist()[1] >= 1
        assert plan.rows[plan.tasks == 1].tolist() == [0] * int(plan.counts[1])
        # The row weighs as one of a whole step.
        assert plan.nominal.sum() >= B
        assert plan.nominal[1] >= plan.counts[1]


@pytest.mark.parametrize("deal", [Deal(2), Deal(1, 3), Deal(2, limit=BatchLimit(tokens=2))])
@pytest.mark.parametrize("by_length", [True, False])
def test_the_labels_of_a_row_go_to_one_micro_batch(deal: Deal, by_length: bool) -> None:
    for plan in plans(three()):
        parts = deal.parts(plan, np.ones(len(plan.rows), dtype=np.int32), by_length)
        assert len(parts) >= deal.world * deal.accumulation
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(plan.rows)))
        assert plan.texts is not None
        texts = [set(plan.texts[part].tolist()) for part in parts]
        assert sum(map(len, texts)) == B
        assert all((np.diff(part) > 0).all() for part in parts)
        if deal.limit is not None:
            assert max(map(len, texts)) <= 2


def test_expected_labels_follow_the_share_of_rows_that_have_them() -> None:
    np.testing.assert_allclose(three().per_task(np.array([[4.0, 2.0]])), [[4.0, 2.0, 2.0]])
