"""The parts of a step add up to the same scalar and gradients, however it is dealt."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.balancing import Exposure, LossWeighting, available, exposures
from hf_mtl.training.step.result import StepResult
from tests.training.step.objectives import NAMES, objective_of, step_of, weighting_of


def whole_step(weighting: LossWeighting, losses: Tensor, tasks: Tensor, masses: Tensor, exposure: Exposure) -> Tensor:
    """The weighting's scalar on the task losses of all rows of a step."""
    counts = torch.bincount(tasks, minlength=3).double()
    present = sums_of(masses, tasks) > 0
    return weighting(
        losses_of(losses, tasks, masses), present, torch.where(present, exposures(counts, exposure), 0.0)
    )


def sums_of(values: Tensor, tasks: Tensor) -> Tensor:
    return torch.stack([values[tasks == task].sum() for task in range(3)])


def losses_of(row_losses: Tensor, tasks: Tensor, masses: Tensor) -> Tensor:
    """L_t by its definition; 0 where a task has no mass."""
    sums = sums_of(masses, tasks)
    return torch.where(sums > 0, sums_of(row_losses, tasks) / sums.clamp(min=1e-300), 0.0)


def part_of(losses: Tensor, tasks: Tensor, positions: Sequence[int]) -> dict[str, Tensor]:
    """Row losses of a micro-batch by task, as a model gives them: without the tasks that have no row."""
    mine = torch.tensor(positions)
    return {name: losses[mine[tasks[mine] == t]] for t, name in enumerate(NAMES) if (tasks[mine] == t).any()}


@st.composite
def dealt(draw: st.DrawFn) -> tuple[list[int], list[float], list[list[list[int]]]]:
    """Tasks of the rows of a step, their masses, and the rows of each micro-batch of each process."""
    tasks = sorted(draw(st.lists(st.integers(0, 2), min_size=1, max_size=24)))
    world = draw(st.integers(1, min(3, len(tasks))))
    accumulation = draw(st.integers(1, max(1, len(tasks) // world)))
    order = draw(st.permutations(range(len(tasks))))
    parts = [part.tolist() for part in np.array_split(np.array(order), world * accumulation)]
    mass = st.sampled_from(draw(st.sampled_from([[1.0], [0.0, 1.0, 2.5, 7.0]])))
    masses = draw(st.lists(mass, min_size=len(tasks), max_size=len(tasks)))
    return tasks, masses, [parts[rank::world] for rank in range(world)]


def simulate(
    name: str,
    tasks: Tensor,
    row_losses: Tensor,
    processes: list[list[list[int]]],
    exposure: Exposure,
    masses: Tensor | None = None,
) -> tuple[float, Tensor, list[LossWeighting], list[StepResult]]:
    """Sum of the parts, gradient of the rows, and each process's weighting and result."""
    counts = torch.bincount(tasks, minlength=3).tolist()
    masses = torch.ones(len(tasks)).double() if masses is None else masses
    step = step_of(counts, masses=sums_of(masses, tasks).tolist())
    rows = row_losses.clone().requires_grad_()
    on_each: list[Tensor] = []
    weightings = [weighting_of(name) for _ in processes]
    number = sum(map(len, processes))
    objectives = [
        objective_of(weighting, number, exposure, lambda _: torch.stack(on_each).sum(0)) for weighting in weightings
    ]
    total = 0.0
    means = losses_of(row_losses, tasks, masses)
    for objective, micro_batches in zip(objectives, processes, strict=True):
        losses = means if objective.losses_first else None
        for positions in micro_batches:
            part = objective.part(part_of(rows, tasks, positions), step, losses=losses)
            part.backward()
            total += part.item()
        on_each.append(torch.cat([objective._losses, torch.zeros(1)]))  # nobody wants to stop
    assert rows.grad is not None
    return total, rows.grad, weightings, [objective.finish() for objective in objectives]


WEIGHTINGS = [name for name, family in available().items() if family == "weighting"]


@settings(max_examples=100)
@given(dealt(), st.sampled_from(WEIGHTINGS), st.sampled_from(["rows", "tasks"]))
def test_the_parts_of_any_partition_add_up_to_the_whole_step(
    made: tuple[list[int], list[float], list[list[list[int]]]], name: str, exposure: Exposure
) -> None:
    tasks, masses, processes = torch.tensor(made[0]), torch.tensor(made[1], dtype=torch.float64), made[2]
    generator = torch.Generator().manual_seed(len(tasks))
    row_losses = masses * (torch.rand(len(tasks), generator=generator, dtype=torch.float64) + 0.1)
    total, gradient, weightings, results = simulate(name, tasks, row_losses, processes, exposure, masses)

    whole, reference = row_losses.clone().requires_grad_(), weighting_of(name)
    expected = whole_step(reference, whole, tasks, masses, exposure)
    expected.backward()
    assert whole.grad is not None
    assert total == pytest.approx(expected.item(), abs=1e-4)  # parts are float32
    assert torch.allclose(gradient, whole.grad, rtol=1e-12)
    for weighting in weightings:
        for parameter, other in zip(weighting.parameters(), reference.parameters(), strict=True):
            assert parameter.grad is not None
            assert other.grad is not None
            assert torch.allclose(parameter.grad, other.grad, rtol=1e-12, atol=1e-15)
    for result in results:
        assert torch.equal(result.counts, torch.bincount(tasks, minlength=3).double())
        assert torch.equal(result.present, sums_of(masses, tasks) > 0)
        assert torch.allclose(result.weights, reference.weights())
        assert torch.allclose(result.losses, losses_of(row_losses, tasks, masses))


def test_every_process_gives_the_weighting_the_same_bits() -> None:
    tasks = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    row_losses = torch.rand(7, generator=torch.Generator().manual_seed(0))
    _, _, weightings, _ = simulate("uw", tasks, row_losses, [[[0, 3], [5]], [[1, 2], [4, 6]]], "rows")
    first, second = (next(weighting.parameters()).grad for weighting in weightings)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
