"""Row losses become one scalar, its gradient, and what the weighting learns of a step."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.balancing import Exposure, exposures
from tests.training.step.objectives import Opened, objective_of, step_of, weighting_of


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any))
def test_exposure_follows_its_formula(given_counts: list[int]) -> None:
    counts = torch.tensor(given_counts, dtype=torch.float64)
    tasks, rows = len(given_counts), sum(given_counts)
    present = sum(count > 0 for count in given_counts)
    assert exposures(counts, "rows").tolist() == pytest.approx([tasks * count / rows for count in given_counts])
    by_task = [tasks / present if count else 0.0 for count in given_counts]
    assert exposures(counts, "tasks").tolist() == pytest.approx(by_task)
    for exposure in ("rows", "tasks"):
        assert float(exposures(counts, exposure).sum()) == pytest.approx(tasks)


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


@pytest.mark.parametrize("exposure", ["rows", "tasks"])
@pytest.mark.parametrize("name", ["ew", "uw"])
def test_dropping_rows_leaves_what_the_others_count(name: str, exposure: Exposure) -> None:
    losses = {"a": torch.tensor([1.0, 2.0, 4.0], requires_grad=True), "b": torch.tensor([3.0], requires_grad=True)}
    gradients = []
    for rows, counts, coefficients in (
        (losses, [3, 1, 0], [1.0, 0.5, 1.0]),
        ({"a": losses["a"]}, [3, 0, 0], [1.0, 0.0, 1.0]),
    ):
        objective = objective_of(weighting_of(name), 1, exposure)
        part = objective.part(rows, step_of(counts, nominal=[3, 1, 0], coefficients=coefficients))
        (gradient,) = torch.autograd.grad(part, losses["a"])
        gradients.append(gradient)
        objective.finish()
    torch.testing.assert_close(gradients[0], gradients[1])
    # Without the nominal counts, the one task left would count for all.
    alone = objective_of(weighting_of(name), 1, exposure).part({"a": losses["a"]}, step_of([3, 0, 0]))
    (gradient,) = torch.autograd.grad(alone, losses["a"])
    assert (gradient > 1.2 * gradients[0]).all()


def test_gamma_multiplies_a_tasks_loss_its_weights_penalty_and_its_heads_penalty() -> None:
    rows = {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([2.0, 4.0])}
    penalties = {"b": torch.tensor([-1.0, 0.5])}

    def scalar(coefficients: list[float] | None) -> tuple[float, Tensor]:
        weighting = weighting_of("uw")
        objective = objective_of(weighting, 1)
        part = objective.part(rows, step_of([2, 2, 0], coefficients=coefficients), penalties=penalties)
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
    for coefficients in ([1.0, 1.0, 1.0], [1.0, 0.25, 1.0]):
        rows = {"a": torch.tensor([1.0], requires_grad=True), "b": torch.tensor([2.0], requires_grad=True)}
        objective = objective_of(weighting_of("gls"), 1)
        objective.part(rows, step_of([1, 1, 0], coefficients=coefficients)).backward()
        gradients.append([float(rows[name].grad) for name in ("a", "b")])  # type: ignore[arg-type]
        result = objective.finish()
        assert result.factors[:2].tolist() == pytest.approx(gradients[-1], rel=1e-5)
        assert result.unweighted[:2].tolist() == coefficients[:2]
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


def test_a_learned_parameter_without_a_part_in_the_step_has_a_gradient_of_zeros() -> None:
    weighting = weighting_of("uw", variant="unit")
    weighting.register_parameter("other", torch.nn.Parameter(torch.ones(2)))
    objective = objective_of(weighting, 1)
    objective.part({"a": torch.tensor([1.0, 3.0])}, step_of([2, 0, 0]))
    objective.finish()
    learned = dict(weighting.named_parameters())
    assert learned.pop("other").grad.tolist() == [0.0, 0.0]
    assert all(bool(parameter.grad.any()) for parameter in learned.values())
