import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hf_mtl.data.plan import MixtureState, Planner, StepPlan, partition
from hf_mtl.errors import UserError

SIZES = {"large": 97, "small": 23, "tiny": 5}
SHARES = np.array([0.7, 0.25, 0.05])


def planner(**options: object) -> Planner:
    defaults: dict[str, object] = {"sizes": SIZES, "rows_per_step": 16, "seed": 0, "window_steps": 10}
    return Planner(**{**defaults, **options})  # type: ignore[arg-type]


def normalised(weights: list[float]) -> np.ndarray:
    return np.array(weights) / sum(weights)


def windows(chosen: Planner, probabilities: np.ndarray, number: int) -> list[MixtureState]:
    states = [chosen.first_window(probabilities)]
    for _ in range(number - 1):
        states.append(chosen.next_window(states[-1], probabilities))
    return states


def counts_of(chosen: Planner, probabilities: np.ndarray, number: int = 1) -> np.ndarray:
    return np.concatenate([chosen.window_counts(state)[0] for state in windows(chosen, probabilities, number)])


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Planner, np.ndarray]:
    weights = draw(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=7))
    assume(sum(weights) > 1e-6)
    rows = draw(st.integers(1, 300))
    chosen = Planner(
        {f"t{i}": 10 for i in range(len(weights))},
        rows_per_step=rows,
        seed=draw(st.integers(0, 2**32)),
        window_steps=draw(st.integers(1, 6)),
        min_per_task=draw(st.integers(0, rows // len(weights))),
    )
    return chosen, normalised(weights)


@given(mixtures())
def test_counts_sum_to_the_rows_per_step_within_one_of_their_expectation(made: tuple[Planner, np.ndarray]) -> None:
    chosen, probabilities = made
    counts = counts_of(chosen, probabilities, number=2)
    assert counts.shape == (2 * chosen.window_steps, len(probabilities))
    assert (counts.sum(axis=1) == chosen.rows_per_step).all()
    assert (np.abs(counts - chosen.expected_rows(probabilities)) < 1 + 1e-6).all()
    assert (counts >= chosen.min_per_task).all()


@given(mixtures())
def test_expected_rows_keep_the_ratios_of_the_tasks_above_the_floor(made: tuple[Planner, np.ndarray]) -> None:
    chosen, probabilities = made
    expected = chosen.expected_rows(probabilities)
    assert expected.sum() == pytest.approx(chosen.rows_per_step)
    assert (expected >= chosen.min_per_task - 1e-9).all()
    above = (expected > chosen.min_per_task + 1e-9) & (probabilities > 0)
    rates = expected[above] / probabilities[above]
    assert rates == pytest.approx(np.full(len(rates), rates.max(initial=0.0)))
    assert (expected[~above] >= probabilities[~above] * rates.max(initial=0.0) - 1e-6).all()  # only lifted, never cut


@pytest.mark.parametrize("floor", [0, 2])
def test_counts_are_unbiased(floor: int) -> None:
    steps = 4000
    chosen = planner(window_steps=steps, min_per_task=floor)
    mean = counts_of(chosen, SHARES).mean(axis=0)
    # A count takes the two integers around its expectation: its variance is at most 1/4. Five standard errors.
    assert np.abs(mean - chosen.expected_rows(SHARES)).max() < 5 * 0.5 / np.sqrt(steps)


def test_an_expectation_that_is_an_integer_is_met_in_every_step() -> None:
    counts = counts_of(planner(rows_per_step=30, window_steps=500), np.array([0.1, 0.2, 0.7]))
    assert (counts == [3, 6, 21]).all()


def test_a_small_task_gets_its_least_rows_in_every_step() -> None:
    counts = counts_of(planner(min_per_task=3), np.array([0.98, 0.01, 0.01]), number=5)
    assert (counts == [10, 3, 3]).all()


def test_one_task_per_step_gives_whole_steps_in_the_tasks_shares() -> None:
    steps = 6000
    counts = counts_of(planner(one_task_per_step=True, window_steps=steps), SHARES)
    assert (np.sort(counts, axis=1) == [0, 0, 16]).all()
    shares = (counts > 0).mean(axis=0)
    # Independent draws: five binomial standard errors.
    assert (np.abs(shares - SHARES) < 5 * np.sqrt(SHARES * (1 - SHARES) / steps)).all()


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    weights=st.data(),
    rows=st.integers(1, 60),
    window=st.integers(1, 5),
    seed=st.integers(0, 1000),
    one_task=st.booleans(),
)
def test_no_row_repeats_before_all_rows_of_its_task_have_been_seen(
    sizes: list[int], weights: st.DataObject, rows: int, window: int, seed: int, one_task: bool
) -> None:
    names = {f"t{i}": size for i, size in enumerate(sizes)}
    chosen = Planner(names, rows, seed, window, one_task_per_step=one_task)
    state = chosen.first_window(np.full(len(sizes), 1 / len(sizes)))
    seen: list[list[int]] = [[] for _ in sizes]
    for _ in range(6):
        for plan in chosen.window_plans(state):
            assert (np.diff(plan.tasks) >= 0).all()
            assert np.array_equal(np.bincount(plan.tasks, minlength=len(sizes)), plan.counts)
            for index, task_rows in enumerate(seen):
                task_rows += plan.rows[plan.tasks == index].tolist()
        some = [weights.draw(st.floats(0.01, 1.0)) for _ in sizes]
        state = chosen.next_window(state, normalised(some))
    assert state.cursors.tolist() == [len(task_rows) for task_rows in seen]
    for size, task_rows in zip(sizes, seen, strict=True):
        for start in range(0, len(task_rows), size):
            one_pass = task_rows[start : start + size]
            assert len(set(one_pass)) == len(one_pass)
            assert set(one_pass) <= set(range(size))


def test_every_pass_and_every_task_and_every_seed_has_an_order_of_its_own() -> None:
    def passes(seed: int) -> list[tuple[int, ...]]:
        chosen = Planner({"a": 20, "b": 20}, rows_per_step=40, seed=seed, window_steps=2)
        plans = chosen.window_plans(chosen.first_window(np.array([0.5, 0.5])))
        return [tuple(plan.rows[plan.tasks == task].tolist()) for plan in plans for task in (0, 1)]

    orders = [*passes(0), *passes(1)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len(set(orders)) == 8


def test_a_window_is_a_pure_function_of_its_state() -> None:
    chosen, again = planner(), planner()
    *_, last = windows(chosen, SHARES, 4)
    copy = MixtureState(last.start, last.probabilities.copy(), last.cursors.copy())
    for plan, other in zip(chosen.window_plans(last), again.window_plans(copy), strict=True):
        assert (plan.step, plan.rows.tolist(), plan.tasks.tolist()) == (
            other.step,
            other.rows.tolist(),
            other.tasks.tolist(),
        )
    assert [plan.step for plan in chosen.window_plans(last)] == list(range(30, 40))


def test_the_length_of_windows_does_not_change_a_constant_mixture() -> None:
    def rows(window_steps: int) -> list[list[int]]:
        chosen = planner(window_steps=window_steps)
        states = windows(chosen, SHARES, 12 // window_steps)
        return [plan.rows.tolist() for state in states for plan in chosen.window_plans(state)]

    assert rows(1) == rows(3) == rows(12)


def test_too_many_rows_per_task_are_refused() -> None:
    with pytest.raises(UserError, match="6 rows of each of 3 tasks do not fit into a step of 16 rows"):
        planner(min_per_task=6)
    planner(min_per_task=5)


@pytest.mark.parametrize("option", ["window_steps", "rows_per_step"])
def test_an_empty_window_or_step_is_refused(option: str) -> None:
    with pytest.raises(UserError, match="must be at least 1"):
        planner(**{option: 0})


@st.composite
def dealt(draw: st.DrawFn) -> tuple[StepPlan, np.ndarray, int]:
    counts = np.array(draw(st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any)))
    rows = int(counts.sum())
    tasks = np.repeat(np.arange(len(counts)), counts)
    lengths = np.array(draw(st.lists(st.integers(1, 512), min_size=rows, max_size=rows)), dtype=np.int32)
    return (
        StepPlan(0, counts, counts, np.ones(len(counts)), tasks, np.arange(rows)),
        lengths,
        draw(st.integers(1, rows)),
    )


@given(dealt(), st.booleans())
def test_a_partition_is_a_disjoint_cover_in_parts_of_equal_size(
    made: tuple[StepPlan, np.ndarray, int], by_length: bool
) -> None:
    plan, lengths, parts = made
    positions = partition(plan, lengths, parts, by_length)
    assert len(positions) == parts
    assert sorted(np.concatenate(positions).tolist()) == list(range(len(plan.rows)))
    sizes = [len(part) for part in positions]
    assert max(sizes) - min(sizes) <= 1
    assert all((np.diff(plan.tasks[part]) >= 0).all() for part in positions)


@given(dealt())
def test_parts_dealt_by_length_differ_by_less_than_one_longest_row(made: tuple[StepPlan, np.ndarray, int]) -> None:
    plan, lengths, parts = made
    tokens = [int(lengths[part].sum()) for part in partition(plan, lengths, parts, by_length=True)]
    assert max(tokens) - min(tokens) <= lengths.max()


def test_dealing_there_and_back_evens_out_lengths_that_grow_steadily() -> None:
    plan = StepPlan(0, np.array([32]), np.array([32]), np.ones(1), np.zeros(32, dtype=np.int64), np.arange(32))
    lengths = np.arange(1, 33, dtype=np.int32)
    assert {int(lengths[part].sum()) for part in partition(plan, lengths, 4, by_length=True)} == {132}


def test_parts_cut_in_order_have_the_steps_own_proportions() -> None:
    counts = np.array([40, 20, 10])
    plan = StepPlan(0, counts, counts, np.ones(3), np.repeat(np.arange(3), counts), np.arange(70))
    for part in partition(plan, np.ones(70, dtype=np.int32), 5, by_length=False):
        assert (np.abs(np.bincount(plan.tasks[part], minlength=3) - [8, 4, 2]) <= 1).all()


@given(dealt())
def test_parts_cut_in_order_share_every_task_evenly(made: tuple[StepPlan, np.ndarray, int]) -> None:
    plan, lengths, parts = made
    for part in partition(plan, lengths, parts, by_length=False):
        shares = np.bincount(plan.tasks[part], minlength=len(plan.counts))
        assert (np.abs(shares - plan.counts * len(part) / len(plan.rows)) <= len(plan.counts)).all()
