import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.balancing import LossWeighting, Reduction, available, build_weighting, exposure
from hf_mtl.batch import StepFacts
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.processes import Processes
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.result import StepResult

NAMES = ["a", "b", "c"]
PER_TASK = {"fixed": {"weights": [0.2, 1.0, 3.0]}, "uw": {"init": [0.5, -1.0, 0.1]}}


def weighting_of(name: str, **options: object) -> LossWeighting:
    weighting = build_weighting(name, num_tasks=3, **{**PER_TASK.get(name, {}), **options})
    weighting.observe(sizes=[30, 8, 4], seed=0)
    return weighting


class Opened(Objective):
    """An objective that begins a step with its first micro-batch."""

    def __init__(
        self, weighting: LossWeighting, micro_batches: int, processes: Processes | None = None, **options: Any
    ):
        super().__init__(NAMES, weighting, processes or Processes(), **options)
        self.micro_batches = micro_batches
        self.is_open = False

    def part(
        self,
        rows: Mapping[str, Tensor],
        facts: StepFacts,
        penalties: Mapping[str, Tensor] | None = None,
        values: Mapping[str, Mapping[str, Tensor]] | None = None,
        losses: Tensor | None = None,
    ) -> Tensor:
        if not self.is_open:
            self.begin(facts, self.micro_batches)
        self.is_open = True
        return self.micro_batch(MultiTaskOutput(None, None, rows, penalties, values), facts, losses)

    def finish(self, grad_scale: float = 1.0, learn: bool = True, stop: bool = False) -> StepResult:
        self.is_open = False
        return super().finish(grad_scale, learn, stop)


def objective_of(
    weighting: LossWeighting,
    micro_batches: int,
    reduction: Reduction = "rows",
    reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Opened:
    return Opened(weighting, micro_batches, Processes(reduce_sum=reduce_sum), reduction=reduction)


def step_of(
    counts: list[int],
    nominal: list[int] | None = None,
    gamma: list[float] | None = None,
    masses: list[float] | None = None,
    own_masses: list[float] | None = None,
) -> StepFacts:
    """A step whose rows have mass 1 unless it is said, and of which this is the only micro-batch."""
    found = [float(count) for count in counts] if masses is None else masses
    return {
        "step": 0,
        "counts": counts,
        "nominal": nominal or counts,
        "gamma": gamma or [1.0] * len(counts),
        "masses": found,
        "own_masses": own_masses or found,
    }


def whole_step(
    weighting: LossWeighting, losses: Tensor, tasks: Tensor, masses: Tensor, reduction: Reduction
) -> Tensor:
    """The weighting's scalar on the task losses of all rows of a step."""
    counts = torch.bincount(tasks, minlength=3).double()
    present = sums_of(masses, tasks) > 0
    return weighting(
        losses_of(losses, tasks, masses), present, torch.where(present, exposure(counts, reduction), 0.0)
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
    reduction: Reduction,
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
        objective_of(weighting, number, reduction, lambda _: torch.stack(on_each).sum(0)) for weighting in weightings
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
    made: tuple[list[int], list[float], list[list[list[int]]]], name: str, reduction: Reduction
) -> None:
    tasks, masses, processes = torch.tensor(made[0]), torch.tensor(made[1], dtype=torch.float64), made[2]
    generator = torch.Generator().manual_seed(len(tasks))
    row_losses = masses * (torch.rand(len(tasks), generator=generator, dtype=torch.float64) + 0.1)
    total, gradient, weightings, results = simulate(name, tasks, row_losses, processes, reduction, masses)

    whole, reference = row_losses.clone().requires_grad_(), weighting_of(name)
    expected = whole_step(reference, whole, tasks, masses, reduction)
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


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any))
def test_exposure_follows_its_formula(given_counts: list[int]) -> None:
    counts = torch.tensor(given_counts, dtype=torch.float64)
    tasks, rows = len(given_counts), sum(given_counts)
    present = sum(count > 0 for count in given_counts)
    assert exposure(counts, "rows").tolist() == pytest.approx([tasks * count / rows for count in given_counts])
    by_task = [tasks / present if count else 0.0 for count in given_counts]
    assert exposure(counts, "tasks").tolist() == pytest.approx(by_task)
    for reduction in ("rows", "tasks"):
        assert float(exposure(counts, reduction).sum()) == pytest.approx(tasks)


def test_equal_weighting_over_rows_is_the_mean_over_rows() -> None:
    row_losses = {"a": torch.tensor([1.0, 2.0, 3.0]), "c": torch.tensor([10.0])}
    assert objective_of(weighting_of("ew"), 1).part(row_losses, step_of([3, 0, 1])).item() == 4.0
    by_task = objective_of(weighting_of("ew"), 1, "tasks").part(row_losses, step_of([3, 0, 1]))
    assert by_task.item() == pytest.approx(6.0)  # the mean of the two tasks' means


def test_the_uw_gradient_on_the_whole_step_is_the_formula() -> None:
    weighting = weighting_of("uw", variant="unit")
    objective = objective_of(weighting, 2)
    objective.part({"a": torch.tensor([1.0, 3.0])}, step_of([3, 0, 1]))
    objective.part({"a": torch.tensor([5.0]), "c": torch.tensor([2.0])}, step_of([3, 0, 1]))
    objective.finish()
    (s,) = weighting.parameters()
    assert s.grad is not None
    # kappa (1/2 - e^-s L), kappa = 3 n / 4
    expected = [3 * 3 / 4 * (0.5 - math.exp(-0.5) * 3.0), 0.0, 3 * 1 / 4 * (0.5 - math.exp(-0.1) * 2.0)]
    assert s.grad.tolist() == pytest.approx(expected)


def test_a_loss_scalers_factor_multiplies_the_weightings_gradient() -> None:
    gradients = []
    for scale in (1.0, 1024.0):
        weighting = weighting_of("uw")
        objective = objective_of(weighting, 1)
        objective.part({"a": torch.tensor([1.0]), "b": torch.tensor([0.3])}, step_of([1, 1, 0]))
        objective.finish(grad_scale=scale)
        (s,) = weighting.parameters()
        assert s.grad is not None
        gradients.append(s.grad)
    assert torch.equal(gradients[0] * 1024, gradients[1])


def test_backward_of_a_micro_batch_leaves_the_weighting_alone() -> None:
    weighting = weighting_of("uw")
    rows = torch.tensor([1.0], requires_grad=True)
    objective_of(weighting, 1).part({"a": rows}, step_of([1, 0, 0])).backward()
    assert rows.grad is not None
    assert next(weighting.parameters()).grad is None


def test_gradients_of_the_weighting_do_not_pile_up_over_steps() -> None:
    weighting = weighting_of("uw")
    objective = objective_of(weighting, 1)
    found = []
    for _ in range(2):
        objective.part({"a": torch.tensor([1.0])}, step_of([1, 0, 0]))
        objective.finish()
        gradient = next(weighting.parameters()).grad
        assert gradient is not None
        found.append(gradient.clone())
    assert torch.equal(found[0], found[1])


def test_each_step_begins_anew() -> None:
    objective = objective_of(weighting_of("ew"), 1)
    objective.part({"a": torch.tensor([4.0, 2.0])}, step_of([2, 0, 0]))
    assert objective.finish().losses.tolist() == [3.0, 0.0, 0.0]
    objective.part({"b": torch.tensor([1.0])}, step_of([0, 1, 0]))
    result = objective.finish()
    assert (result.losses.tolist(), result.counts.tolist()) == ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0])


def test_a_learned_weight_acts_from_the_next_step_on() -> None:
    weighting = weighting_of("uw", variant="unit", init=0.0)
    objective = objective_of(weighting, 1)
    rows = {"a": torch.tensor([1.0])}
    before = objective.part(rows, step_of([1, 0, 0])).item()
    objective.finish()
    with torch.no_grad():
        next(iter(weighting.parameters())).fill_(math.log(2))
    after = objective.part(rows, step_of([1, 0, 0])).item()
    assert (before, after) == (3.0, pytest.approx(3 * (0.5 + 0.5 * math.log(2))))
    assert objective.finish().weights.tolist() == pytest.approx([0.5] * 3)


def test_half_precision_losses_make_a_float32_part() -> None:
    rows = torch.tensor([1.0, 3.0], dtype=torch.bfloat16, requires_grad=True)
    part = objective_of(weighting_of("ew"), 1).part({"a": rows}, step_of([2, 0, 0]))
    part.backward()
    assert part.dtype == torch.float32
    assert rows.grad is not None
    assert rows.grad.tolist() == [0.5, 0.5]


def test_state_goes_around() -> None:
    first, second = objective_of(weighting_of("uw"), 1), objective_of(weighting_of("uw", init=0.0), 1)
    second.load_state_dict({key: value.clone() for key, value in first.state_dict().items()})
    assert second.weighting.weights().tolist() == first.weighting.weights().tolist()


@pytest.mark.parametrize("reduction", ["rows", "tasks"])
@pytest.mark.parametrize("name", ["ew", "uw"])
def test_dropping_rows_leaves_what_the_others_count(name: str, reduction: Reduction) -> None:
    losses = {"a": torch.tensor([1.0, 2.0, 4.0], requires_grad=True), "b": torch.tensor([3.0], requires_grad=True)}
    gradients = []
    for rows, counts, gamma in (
        (losses, [3, 1, 0], [1.0, 0.5, 1.0]),
        ({"a": losses["a"]}, [3, 0, 0], [1.0, 0.0, 1.0]),
    ):
        objective = objective_of(weighting_of(name), 1, reduction)
        part = objective.part(rows, step_of(counts, nominal=[3, 1, 0], gamma=gamma))
        (gradient,) = torch.autograd.grad(part, losses["a"])
        gradients.append(gradient)
        objective.finish()
    torch.testing.assert_close(gradients[0], gradients[1])
    # Without the nominal counts, the one task left would count for all.
    alone = objective_of(weighting_of(name), 1, reduction).part({"a": losses["a"]}, step_of([3, 0, 0]))
    (gradient,) = torch.autograd.grad(alone, losses["a"])
    assert (gradient > 1.2 * gradients[0]).all()


def test_gamma_multiplies_a_tasks_loss_its_weights_penalty_and_its_heads_penalty() -> None:
    rows = {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([2.0, 4.0])}
    penalties = {"b": torch.tensor([-1.0, 0.5])}

    def scalar(gamma: list[float] | None) -> tuple[float, Tensor]:
        weighting = weighting_of("uw")
        objective = objective_of(weighting, 1)
        part = objective.part(rows, step_of([2, 2, 0], gamma=gamma), penalties=penalties)
        objective.finish()
        [s] = weighting.parameters()
        assert s.grad is not None
        return float(part), s.grad.clone()

    (whole, whole_s), (half, half_s), (without, without_s) = map(scalar, (None, [1.0, 0.5, 1.0], [1.0, 0.0, 1.0]))
    assert half == pytest.approx((whole + without) / 2)
    torch.testing.assert_close(half_s, whole_s * torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(without_s, whole_s * torch.tensor([1.0, 0.0, 0.0]))


def test_every_process_learns_how_many_want_to_stop() -> None:
    rows = {"a": torch.tensor([1.0], requires_grad=True)}
    for others, mine, votes in ((0.0, False, 0), (0.0, True, 1), (2.0, False, 2), (2.0, True, 3)):
        more = torch.tensor([0.5, 0.0, 0.0, others], dtype=torch.float64)
        objective = objective_of(weighting_of("ew"), 1, reduce_sum=lambda tensor, more=more: tensor + more)
        objective.part(rows, step_of([1, 0, 0]))
        result = objective.finish(stop=mine)
        assert (int(result.votes), result.losses.tolist()) == (votes, [1.5, 0.0, 0.0])


def test_a_single_micro_batch_finds_its_losses_itself() -> None:
    """On two processes, whose losses are added up."""
    rows = {"a": torch.tensor([1.0, 2.0], requires_grad=True), "b": torch.tensor([0.5], requires_grad=True)}
    others = torch.tensor([1.0, 0.25, 0.0])
    objective = objective_of(weighting_of("gls"), 2, reduce_sum=lambda mine: mine + others.to(mine))
    part = objective.part(rows, step_of([3, 2, 0]))
    part.backward()
    losses = torch.tensor([2.0, 0.5])
    # GLS: the geometric mean, whose derivative is itself over m L.
    factors = losses.prod().sqrt() / (2 * losses)
    for task, (name, count) in enumerate({"a": 3, "b": 2}.items()):
        gradient = rows[name].grad
        assert gradient is not None
        assert gradient.tolist() == pytest.approx([float(factors[task]) / count] * len(gradient), rel=1e-5)


def test_schedules_multiply_what_is_no_sum_over_tasks_too() -> None:
    gradients = []
    for gamma in ([1.0, 1.0, 1.0], [1.0, 0.25, 1.0]):
        rows = {"a": torch.tensor([1.0], requires_grad=True), "b": torch.tensor([2.0], requires_grad=True)}
        objective = objective_of(weighting_of("gls"), 1)
        objective.part(rows, step_of([1, 1, 0], gamma=gamma)).backward()
        gradients.append([float(rows[name].grad) for name in ("a", "b")])  # type: ignore[arg-type]
        result = objective.finish()
        assert result.factors[:2].tolist() == pytest.approx(gradients[-1], rel=1e-5)
        assert result.unweighted[:2].tolist() == gamma[:2]
    assert gradients[1] == pytest.approx([gradients[0][0], gradients[0][1] / 4], rel=1e-5)


def test_rows_say_how_much_a_task_counts_and_masses_what_its_losses_are_a_mean_over() -> None:
    objective = objective_of(weighting_of("ew"), 1)
    rows = {"a": torch.tensor([6.0, 2.0]), "c": torch.tensor([4.0, 0.0])}
    part = objective.part(rows, step_of([2, 0, 2], masses=[4.0, 0.0, 1.0]))
    assert part.item() == pytest.approx((2 * 2.0 + 2 * 4.0) / 4)
    assert objective.finish().losses.tolist() == [2.0, 0.0, 4.0]


def test_penalties_are_means_over_masses_too() -> None:
    rows, values = {"b": torch.tensor([3.0, 1.0])}, torch.tensor([1.0, 5.0])
    objective = Opened(weighting_of("ew"), 1, penalties=[("b", "kl")])
    step = step_of([0, 2, 0], masses=[0.0, 8.0, 0.0])
    part = objective.part(rows, step, {"b": 0.5 * values}, {"b": {"kl": values}})
    assert part.item() == pytest.approx(4 / 8 + 0.5 * 6 / 8)
    assert float(objective.finish().penalties["b", "kl"]) == 6 / 8
    part = objective.part(
        {"b": torch.zeros(2)}, step_of([2, 2, 0], masses=[1.0, 0.0, 0.0]), {"b": values}, {"b": {"kl": values}}
    )
    assert (part.item(), float(objective.finish().penalties["b", "kl"])) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["ew", "uw", "gls", "famo"])
def test_a_task_whose_rows_have_no_mass_is_as_absent_as_one_whose_rows_were_dropped(name: str) -> None:
    results = []
    for rows, step in (
        ({"b": torch.tensor([0.0, 0.0])}, step_of([3, 2, 0], masses=[3.0, 0.0, 0.0])),
        ({}, step_of([3, 0, 0], nominal=[3, 2, 0])),
    ):
        weighting = weighting_of(name)
        objective = objective_of(weighting, 1)
        part = objective.part({"a": torch.tensor([1.0, 2.0, 4.0]), **rows}, step)
        result = objective.finish()
        learned = [parameter.grad for parameter in weighting.parameters()]
        results.append((part, result.losses, result.factors, result.weights, objective.absent, *learned))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_micro_batch_on_its_own_takes_the_mean_over_its_own_mass() -> None:
    factors = []
    for masses, own in (([10.0, 2.0, 0.0], [4.0, 1.0, 0.0]), ([99.0, 77.0, 0.0], [4.0, 1.0, 0.0])):
        objective = Opened(weighting_of("si"), 2, exact_accumulation=False)
        rows = {"a": torch.tensor([6.0, 2.0], requires_grad=True), "b": torch.tensor([3.0], requires_grad=True)}
        objective.part(rows, step_of([5, 2, 0], masses=masses, own_masses=own)).backward()
        # SI has the factor kappa / L, here with this micro-batch's L: 8 / 4 and 3 / 1.
        gradients = [float(rows[name].grad[0]) * mass for name, mass in zip("ab", masses, strict=False)]  # type: ignore[index]
        factors.append(gradients)
    assert factors == [pytest.approx([3 * 5 / 7 / 2, 3 * 2 / 7 / 3])] * 2
