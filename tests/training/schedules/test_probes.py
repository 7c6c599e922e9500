"""Measurements of task gradients: their values, and that training does not notice them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.batch import to_device
from hf_mtl.data.collate import Collator
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.modeling import split_parameters
from hf_mtl.training.schedules.frozen_groups import FrozenGroups
from hf_mtl.training.schedules.probes import Prober, fisher_trace, squared_norm
from tests import tiny
from tests.training.masses import encoded, with_masses
from tests.training.trainers import SMALL, make, parameters, records, same

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/schedule_fisher_trace.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_the_fisher_trace_equals_the_golden_value(case: dict[str, Any]) -> None:
    gradients = torch.tensor(case["inputs"]["per_example_gradients"], dtype=torch.float64)
    expected = case["expected"]
    assert fisher_trace([[row[:1], None, row[1:]] for row in gradients]) == pytest.approx(
        expected["empirical_fisher_trace"], rel=GOLDEN["rtol"]
    )
    assert squared_norm([gradients.mean(dim=0)]) == pytest.approx(
        expected["squared_norm_of_mean"], rel=GOLDEN["rtol"]
    )


def rows_of(collator: Collator) -> TrainRows:
    return TrainRows(collator, 0, torch.device("cpu"))


def prober(folder: Path, **options: Any) -> Prober:
    trainer = make(folder, **options)
    return Prober(trainer.model, rows_of(trainer.train_collator()), trainer.processes, trainer.flops, size=4)


class Recording(Collator):
    """A collator that notes what it is asked for."""

    def __init__(self, collator: Collator):
        super().__init__(collator.splits, collator.pad_id, collator.group_cost)
        self.asked: list[tuple[Any, Any]] = []

    def __call__(self, tasks: Any, rows: Any) -> dict[str, Any]:
        self.asked.append((tasks, rows))
        return super().__call__(tasks, rows)


def test_both_measurements_are_those_of_the_shared_parameters(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=tiny.model(dropout=0.5))
    model, collator = trainer.model, Recording(trainer.train_collator())
    probe = Prober(model, rows_of(collator), trainer.processes, trainer.flops, size=4)
    norm, trace = probe.measure("gradient_norm", ["mood"], 7)["mood"], probe.measure("fisher", ["mood"], 7)["mood"]
    (tasks, rows), *singly = collator.asked
    assert tasks.tolist() == [1] * 4
    assert [row for _, one in singly for row in one] == rows.tolist(), "the same rows, one by one"
    model.eval()
    shared = [parameter for _, parameter in split_parameters(model)[0]]

    def squared(part: slice) -> float:
        loss = model(**to_device(collator(tasks[part], rows[part]), model.device)).row_losses["mood"].mean()
        found = torch.autograd.grad(loss, shared, allow_unused=True)
        return sum(float(one.square().sum()) for one in found if one is not None)

    assert norm**2 == pytest.approx(squared(slice(4)), rel=1e-5)
    assert trace == pytest.approx(sum(squared(slice(place, place + 1)) for place in range(4)) / 4, rel=1e-5)


def test_a_measurement_is_of_losses_over_masses(tmp_path: Path) -> None:
    rows = encoded(SMALL)
    once, twice = (
        prober(tmp_path, train=splits) for splits in (rows, with_masses(rows, lambda _, count: np.full(count, 2)))
    )
    for probe, factor in (("gradient_norm", 2), ("fisher", 4)):
        expected = {name: value / factor for name, value in once.measure(probe, list(rows), 0).items()}
        assert twice.measure(probe, list(rows), 0) == pytest.approx(expected, rel=1e-5)


def test_a_measurement_leaves_everything_as_it_was(tmp_path: Path) -> None:
    probe = prober(tmp_path, model=tiny.model(dropout=0.5, head="vip", freeze="embeddings"))
    model, groups = probe.model, FrozenGroups(probe.model)
    groups.apply(["encoder"])
    model.train()
    before = [
        (parameter.requires_grad, module.training) for module in model.modules() for parameter in module.parameters()
    ]
    random = torch.random.get_rng_state()
    with groups.thawed():
        values = probe.measure("gradient_norm", list(tiny.TASKS), 0)
    assert all(value > 0 for value in values.values())
    assert torch.equal(torch.random.get_rng_state(), random)
    after = [
        (parameter.requires_grad, module.training) for module in model.modules() for parameter in module.parameters()
    ]
    assert after == before
    assert groups.frozen == {"encoder"}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_look_is_that_of_the_halves_by_hand(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=tiny.model(dropout=0.5))
    model, collator = trainer.model, trainer.train_collator()
    probe = Prober(model, rows_of(collator), trainer.processes, trainer.flops)
    rows = np.array([7, 2, 9, 4, 0, 11])
    found = probe.look({"mood": rows, "score": rows[:4]})
    assert list(found) == ["mood", "score"]
    model.eval()
    shared = [parameter for _, parameter in split_parameters(model)[0]]

    def gradient(part: np.ndarray) -> torch.Tensor:
        tasks = np.full(len(part), 1)
        loss = model(**to_device(collator(tasks, part), model.device)).row_losses["mood"].mean()
        parts = torch.autograd.grad(loss, shared, allow_unused=True)
        return torch.cat([one.flatten() for one in parts if one is not None]).double()

    a, b = gradient(rows[:3]), gradient(rows[3:])
    assert found["mood"].squared_norm == pytest.approx(float(a @ b), rel=1e-4)
    assert found["mood"].variance == pytest.approx(6 / 4 * float((a - b).square().sum()), rel=1e-4)


def test_the_looks_of_all_halves_have_the_gradient_and_its_variance_for_their_mean(tmp_path: Path) -> None:
    """Over all pairs of rows that are drawn with replacement both estimates are exact: neither is biased."""
    trainer = make(tmp_path)
    probe = Prober(trainer.model, rows_of(trainer.train_collator()), trainer.processes, trainer.flops)
    rows = np.array([3, 5, 8])
    looks = [probe.look({"mood": np.array([a, b])})["mood"] for a in rows for b in rows]
    singly = probe.measure("fisher", ["mood"], 0)  # of other rows: only that it is there
    assert singly["mood"] > 0
    with_mean = np.mean([look.squared_norm for look in looks])
    variance = np.mean([look.variance for look in looks])
    second_moment = np.mean([probe.look({"mood": np.array([a, a])})["mood"].squared_norm for a in rows])
    # E|g_i|² = |E g|² + Var, and of two rows with replacement E aᵀb = |E g|².
    assert with_mean + variance == pytest.approx(second_moment, rel=1e-5)
    assert with_mean < second_moment


def test_a_gradient_that_is_not_finite_is_no_look(tmp_path: Path) -> None:
    probe = prober(tmp_path)
    with torch.no_grad():
        next(parameter for name, parameter in probe.model.named_parameters() if "task_mood" in name).fill_(torch.nan)
    assert list(probe.look({"mood": np.arange(4), "score": np.arange(4)})) == ["score"]


def test_looks_are_paid_for_and_leave_heads_and_generators_as_they_were(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=tiny.model(dropout=0.5))
    probe = Prober(trainer.model, rows_of(trainer.train_collator()), trainer.processes, trainer.flops)
    before, random = parameters(trainer), torch.random.get_rng_state()
    trainer.model.train()
    probe.look({"mood": np.arange(4)})
    once = trainer.flops.pending
    assert once > 0
    probe.look({"mood": np.arange(4)})
    assert trainer.flops.pending == 2 * once
    assert same(parameters(trainer), before)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    assert trainer.model.training


def test_a_gradient_that_is_not_finite_is_no_measurement(tmp_path: Path) -> None:
    probe = prober(tmp_path)
    with torch.no_grad():
        next(parameter for name, parameter in probe.model.named_parameters() if "task_mood" in name).fill_(torch.nan)
    assert list(probe.measure("gradient_norm", ["mood", "score"], 0)) == ["score"]


def test_measurements_are_paid_for_and_change_nothing_else(tmp_path: Path) -> None:
    # With one other task the budget is its coefficient, whatever is measured.
    data = {name: rows for name, rows in tiny.datasets({"topic": 30, "mood": 12}).items()}
    tasks = {name: tiny.TASKS[name] for name in data}
    runs = []
    for signal in ("inverse_gradient_norm", "variance"):
        schedule: dict[str, Any] = {"type": "mt2st_adaptive", "main": "topic", "signal": signal}
        if signal != "variance":  # which is not measured, and has no rhythm
            schedule["every"] = 2
        model = tiny.model(tasks=tasks, dropout=0.3)
        trainer = make(
            tmp_path / signal, model=model, train=data, evaluation=data, schedules=[schedule], window_steps=2
        )
        trainer.train()
        runs.append(trainer)
    measured, not_measured = runs
    assert same(parameters(measured), parameters(not_measured))
    extra = [a - b for a, b in zip(records(measured, "flops"), records(not_measured, "flops"), strict=True)]
    # Before steps 0, 2 and 4 (the last for a window that never comes), 12 rows each time.
    assert extra[0] > 0
    assert extra == pytest.approx([extra[0], 2 * extra[0], 2 * extra[0], 3 * extra[0]])


@pytest.mark.parametrize("options", [{"bf16": True}, {"gradient_checkpointing": True}])
def test_measurements_are_in_float32_whatever_training_is_in(tmp_path: Path, options: dict[str, Any]) -> None:
    schedule = {"type": "mt2st_adaptive", "main": "topic"}
    states = []
    for more in ({}, options):
        trainer = make(tmp_path / str(len(states)), schedules=[schedule], max_steps=1, **more)
        trainer.train()
        states.append(trainer.schedules.schedules[0].state_dict()["means"])
    assert states[1] == pytest.approx(states[0], rel=1e-5)
