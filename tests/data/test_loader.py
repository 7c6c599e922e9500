from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import skip_first_batches

from hf_mtl.data import loader as loader_module
from hf_mtl.data.collate import Collator
from hf_mtl.data.dealing import Deal
from hf_mtl.data.loader import PlannedSteps, Workers, train_loader
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import Planner
from hf_mtl.data.roster import Roster
from hf_mtl.data.steps import StepSource
from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.data.tokens import EncodedSplit
from tests import tiny
from tests.courses import FixedCourse
from tests.data.encoding import encode_split

SIZES = {"topic": 31, "mood": 11, "score": 17}
ROWS, WINDOW, PER_EPOCH = 12, 3, 5


@cache
def splits() -> dict[str, EncodedSplit]:
    data = tiny.datasets(SIZES)
    return {name: encode_split(name, tiny.TASKS[name], data[name], tiny.tokenizer()) for name in SIZES}


def planned(
    rank: int = 0,
    world: int = 1,
    accumulation: int = 1,
    workers: int = 0,
    mixture: Mixture | None = None,
    group_cost: int | None = 8,
    limit: BatchLimit | None = None,
) -> PlannedSteps:
    source = StepSource(mixture or Mixture(SIZES), Planner(SIZES, ROWS, seed=1, window_steps=WINDOW), FixedCourse(15))
    collator = Collator(splits(), 0, group_cost)
    return PlannedSteps(source, collator, rank, Deal(world, accumulation, limit), Workers(workers))


def rows_of(batch: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Task and token ids of each row, which say which rows they are."""
    packed = batch["packed"]
    encodings = [tuple(ids.tolist()) for ids in packed["input_ids"].split(packed["lengths"])]
    ordered = [encodings[place] for place in batch["order"].tolist()] if "order" in batch else encodings
    return [(name, ordered[at]) for name, (start, stop) in batch["segments"].items() for at in range(start, stop)]


def expected_rows(step: int) -> list[tuple[str, tuple[int, ...]]]:
    plan = planned().source.plan(step)
    names = list(SIZES)
    pairs = [(names[task], int(row)) for task, row in zip(plan.tasks, plan.rows, strict=True)]
    return sorted((name, tuple(splits()[name].tokens.ids(row).tolist())) for name, row in pairs)


@pytest.mark.parametrize("group_cost", [8, None])
@pytest.mark.parametrize(("world", "accumulation"), [(1, 1), (1, 4), (2, 1), (2, 3), (3, 2), (4, 1)])
def test_the_micro_batches_of_all_processes_make_up_the_plan(
    world: int, accumulation: int, group_cost: int | None
) -> None:
    for step in (0, 4):
        batches = []
        for rank in range(world):
            steps = planned(rank, world, accumulation, group_cost=group_cost)
            batches += [steps[step * accumulation + place] for place in range(accumulation)]
        counts = planned().source.plan(step).counts.tolist()
        assert all((batch["plan"]["step"], batch["plan"]["counts"]) == (step, counts) for batch in batches)
        sizes = [len(batch["packed"]["lengths"]) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        assert sorted(row for batch in batches for row in rows_of(batch)) == expected_rows(step)


def test_every_micro_batch_knows_the_masses_of_its_step_and_its_own() -> None:
    weighed = {**splits(), "mood": replace(splits()["mood"], masses=np.arange(SIZES["mood"]) / 4)}
    collator = Collator(weighed, 0, group_cost=8)
    for step in (0, 4):
        batches = []
        for rank in range(2):
            steps = PlannedSteps(planned().source, collator, rank, Deal(2, 8))
            batches += [steps[step * 8 + place] for place in range(8)]
        plan = planned().source.plan(step)
        mood = float((plan.rows[plan.tasks == 1] / 4).sum())
        whole = [float(plan.counts[0]), mood, float(plan.counts[2])]
        assert plan.counts[1] > 0
        assert all(batch["plan"]["masses"] == whole for batch in batches)
        own = np.array([batch["plan"]["own_masses"] for batch in batches])
        assert own.sum(axis=0).tolist() == whole
        assert len(batches) > plan.counts.sum(), "some have no rows, though one stands in for them"
        assert (own.sum(axis=1) == 0).any()


def test_a_micro_batch_without_rows_runs_the_encoder_and_a_head_on_nothing() -> None:
    gamma = np.tile([0.0, 0.0, 1.0], (WINDOW, 1))
    roster = Roster(gamma, np.ones(gamma.shape), np.zeros(gamma.shape, dtype=bool))
    planner = Planner(SIZES, ROWS, seed=1, window_steps=WINDOW)
    source = StepSource(Mixture(SIZES), planner, FixedCourse(15), roster=lambda start: roster)
    collator = Collator(splits(), 0, group_cost=8)
    steps = PlannedSteps(source, collator, 1, Deal(2, 6))
    batches = [steps[place] for place in range(6)]
    rows = int(source.plan(0).counts[2])
    assert source.plan(0).counts.sum() == rows < 6
    full = [batch for batch in batches if rows_of(batch)]
    assert len(full) == rows // 2, "the rows go to the processes in turn"
    for batch in batches[len(full) :]:
        assert batch["segments"] == {"score": (0, 0)}
        assert batch["labels"]["score"].shape == (0, 2)
        assert len(batch["packed"]["lengths"]) == len(batch["noise"]["rows"]) == 1
        assert batch["plan"]["counts"] == [0, 0, rows]


@pytest.mark.parametrize("world", [1, 3])
def test_a_step_that_is_cut_by_tokens_comes_as_the_list_of_its_micro_batches(world: int) -> None:
    for step in (0, 4):
        of_ranks = [planned(rank, world, limit=BatchLimit(30))[step] for rank in range(world)]
        assert len({len(batches) for batches in of_ranks}) == 1, "as many on each process"
        batches = [batch for batches in of_ranks for batch in batches]
        assert len(of_ranks[0]) > 1
        assert all(len(batch["packed"]["input_ids"]) <= 30 for batch in batches)
        assert sorted(row for batch in batches for row in rows_of(batch)) == expected_rows(step)
        masses = {tuple(batch["plan"]["masses"]) for batch in batches}
        own = np.sum([batch["plan"]["own_masses"] for batch in batches], axis=0)
        assert masses == {tuple(own.tolist())}


def test_workers_hand_out_the_same_steps_where_they_are_cut_by_tokens() -> None:
    limit = BatchLimit(30, padded=True)
    alone, helped = (
        list(train_loader(planned(workers=workers, limit=limit), FixedCourse(15, PER_EPOCH))) for workers in (0, 2)
    )
    assert len({len(batches) for batches in alone}) > 1, "steps differ in how many they need"
    assert [list(map(rows_of, batches)) for batches in alone] == [list(map(rows_of, batches)) for batches in helped]


class Watched(Mixture):
    """Notes how many micro-batches had been handed out whenever its probabilities were asked for."""

    def __init__(self) -> None:
        super().__init__(SIZES, anneal={"start": 1.0, "end": 5.0})
        self.handed_out = 0
        self.asked_after: list[int] = []

    def probabilities(self, progress: float = 0.0) -> dict[str, float]:
        self.asked_after.append(self.handed_out)
        return super().probabilities(progress)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_window_is_planned_before_the_one_before_it_was_handed_out(workers: int) -> None:
    mixture = Watched()
    steps = planned(accumulation=2, workers=workers, mixture=mixture)
    seen = []
    for epoch in range(2):
        for batch in train_loader(steps, FixedCourse(15, PER_EPOCH, 2, step=epoch * PER_EPOCH)):
            mixture.handed_out += 1
            seen.append(batch["plan"]["step"])
    assert seen == [step for step in range(10) for _ in range(2)]
    assert mixture.asked_after == [0, 6, 12, 18]


def test_workers_hand_out_the_same_batches() -> None:
    alone, helped = (
        list(train_loader(planned(accumulation=2, workers=workers), FixedCourse(15, PER_EPOCH, 2)))
        for workers in (0, 2)
    )
    assert len(alone) == len(helped) == 10
    for batch, other in zip(alone, helped, strict=True):
        assert (batch["plan"]["step"], batch["plan"]["counts"], rows_of(batch)) == (
            other["plan"]["step"],
            other["plan"]["counts"],
            rows_of(other),
        )


def test_workers_start_where_a_resumed_run_does() -> None:
    alone, helped = planned(accumulation=2), planned(accumulation=2, workers=1)
    for index in (3, 4, 7, 9):
        assert rows_of(helped[index]) == rows_of(alone[index])


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Micro-batches that were made, by number."""
    made: list[int] = []
    original = loader_module._Collation.__getitem__

    def noting(self: Any, asked: Any) -> Any:
        made.append(asked[0].step * self.deal.accumulation + asked[1])
        return original(self, asked)

    monkeypatch.setattr(loader_module._Collation, "__getitem__", noting)
    return made


def test_skipping_batches_seeks(computed: list[int]) -> None:
    whole = list(train_loader(planned(accumulation=2), FixedCourse(15, PER_EPOCH, 2)))
    computed.clear()
    resumed = list(skip_first_batches(train_loader(planned(accumulation=2), FixedCourse(15, PER_EPOCH, 2)), 6))
    assert computed == [6, 7, 8, 9]
    assert [rows_of(batch) for batch in resumed] == [rows_of(batch) for batch in whole[6:]]


def test_epochs_continue_with_later_steps(computed: list[int]) -> None:
    course = FixedCourse(15, PER_EPOCH, 2)
    loader = train_loader(planned(accumulation=2), course)
    assert len(loader) == 10
    assert [batch["plan"]["step"] for batch in loader] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    course.step = 5
    assert [batch["plan"]["step"] for batch in loader] == [5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
    assert computed == list(range(20))


def test_a_run_resumed_in_an_epoch_skips_from_the_epochs_first_step(computed: list[int]) -> None:
    resumed = skip_first_batches(train_loader(planned(), FixedCourse(15, PER_EPOCH, step=7)), 2)
    assert [batch["plan"]["step"] for batch in resumed] == computed == [7, 8, 9]


def test_the_loader_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    list(train_loader(planned(), FixedCourse(15, PER_EPOCH)))
    list(train_loader(planned(workers=1), FixedCourse(15)))
    assert torch.equal(torch.get_rng_state(), before)


def test_where_processes_hold_parts_each_micro_batch_names_every_task_of_its_step() -> None:
    seen = []
    for rank in range(2):
        plain, batches = (planned(rank, world=2, accumulation=3) for _ in range(2))
        batches._make.collator.names_every_task = True
        for index in range(12):
            expected, batch = plain[index], batches[index]
            present = [name for name, count in zip(SIZES, batch["plan"]["counts"], strict=True) if count]
            assert list(batch["segments"]) == list(batch["labels"]) == present
            for name, (start, stop) in batch["segments"].items():
                assert (start, stop) == expected["segments"].get(name, (start, start))
                assert len(batch["labels"][name]) == stop - start
            ends = [stop for _, stop in batch["segments"].values()]
            assert ends == sorted(ends)
            seen.append(len(expected["segments"]) < len(present))
    assert any(seen), "some micro-batch should lack a task"
