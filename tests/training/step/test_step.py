"""A step is the same step whatever its kind and its micro-batches, and is closed once."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.step import PlainStep, SplitStep, Step, TapedStep
from tests.training.step.parts import Parts, micro_batches, parts


class Unscaled:
    """An accelerator without a loss scaler."""

    scaler = None
    optimizer_step_was_skipped = False


SCALER = LossScaler(Unscaled())  # type: ignore[arg-type]
WHOLE, HALVES = [[4, 2, 3]], [[1, 2, 0], [3, 0, 3]]


def step_of(made: Parts, kind: str) -> Step:
    shared: tuple[Any, ...] = (made.model, made.objective, made.loss_pass)
    if kind == "plain":
        return PlainStep(*shared)
    layout: Any = {"taped": "segments", "split": "split"}[kind]
    gradients = made.gradients(None, layout)
    return (TapedStep if kind == "taped" else SplitStep)(*shared, gradients, SCALER)


def run(made: Parts, kind: str, counts: list[list[int]]) -> tuple[float, dict[str, Tensor], Any]:
    """Logged loss, gradients and result of one step."""
    layout = {"plain": "mixed", "taped": "segments", "split": "split"}[kind]
    step, batches = step_of(made, kind), micro_batches(made.rows, counts, layout)
    made.model.train()
    step.begin(batches)
    total = 0.0
    for batch in batches:
        with step.around(batch):
            loss, _ = step.loss(made.model, batch)
            (loss / len(batches)).backward()  # as the Trainer does
        total += float(step.logged(loss.detach())) / len(batches)
    result = step.finish(None, learns=True, stops=False)
    named = made.model.named_parameters()
    return total, {name: p.grad.clone() for name, p in named if p.grad is not None}, result


@pytest.mark.parametrize("counts", [WHOLE, HALVES], ids=["whole", "halves"])
@pytest.mark.parametrize("kind", ["plain", "taped", "split"])
def test_every_kind_of_step_has_the_gradient_of_the_plain_one(kind: str, counts: list[list[int]]) -> None:
    """Where the gradients of the tasks are added up."""
    expected_loss, expected, plain = run(parts(), "plain", WHOLE)
    loss, found, result = run(parts(), kind, counts)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    torch.testing.assert_close(result.losses, plain.losses, rtol=1e-5, atol=1e-7)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "split"])
def test_losses_that_come_first_are_those_of_the_whole_step(kind: str) -> None:
    made = parts("gls", dropout=0.5)
    step = step_of(made, kind)
    batches = micro_batches(made.rows, HALVES, "mixed" if kind == "plain" else "split")
    made.model.train()
    torch.manual_seed(5)
    step.begin(batches)
    assert step._losses is not None
    random = torch.get_rng_state()
    losses = [step.loss(made.model, batch) for batch in batches]
    assert len(losses) == 2
    assert not torch.equal(random, torch.get_rng_state()), "dropout is drawn"
    result = step.finish(None, learns=True, stops=False)
    torch.testing.assert_close(result.losses, step._losses, rtol=1e-6, atol=1e-8)  # with the same dropout


def test_one_micro_batch_of_tasks_together_needs_no_pass_before() -> None:
    made = parts("gls")
    step = step_of(made, "plain")
    step.begin(micro_batches(made.rows, WHOLE))
    assert (step._losses, made.flops.pending) == (None, 0)


def test_a_step_is_open_until_it_is_finished_and_takes_the_votes() -> None:
    made = parts()
    step = step_of(made, "plain")
    (batch,) = batches = micro_batches(made.rows, WHOLE)
    assert not step.is_open
    step.begin(batches)
    assert step.is_open
    step.loss(made.model, batch)
    assert int(step.finish(None, learns=True, stops=True).votes) == 1
    assert not step.is_open
    with pytest.raises(AssertionError, match="again"):
        step.finish(None, learns=True, stops=False)


def test_a_head_without_mass_gets_no_gradient() -> None:
    made = parts()
    step, batches = step_of(made, "plain"), micro_batches(made.rows, WHOLE)
    batches[0]["plan"]["masses"][1] = 0.0
    step.begin(batches)
    loss, _ = step.loss(made.model, batches[0])
    loss.backward()
    step.finish(None, learns=True, stops=False)
    has = {name: any(p.grad is not None for p in made.model.heads.of(name).parameters()) for name in made.rows.names}
    assert has == {"topic": True, "mood": False, "score": True}


@pytest.mark.parametrize("massless", [[0], [1], [0, 1]])
def test_a_shared_head_gets_a_gradient_while_one_of_its_tasks_has_mass(massless: list[int]) -> None:
    made = parts()
    made.model.heads.of("mood").__dict__["head"] = made.model.heads.of("topic").head
    step, batches = step_of(made, "plain"), micro_batches(made.rows, WHOLE)
    for task in massless:
        batches[0]["plan"]["masses"][task] = 0.0
    step.begin(batches)
    for parameter in made.model.heads.parameters():
        parameter.grad = torch.ones_like(parameter)  # as the backward may have left them
    step.finish(None, learns=True, stops=False)
    shared = made.model.heads.parameters_of("topic")
    assert {parameter.grad is None for parameter in shared} == {len(massless) == 2}
    assert all(parameter.grad is not None for parameter in made.model.heads.parameters_of("score"))


def test_losses_after_the_update_are_told_once_asked_for_and_only_if_there_was_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = parts("famo")
    step, batches = step_of(made, "plain"), micro_batches(made.rows, WHOLE)
    made.model.train()
    step.begin(batches)
    step.loss(made.model, batches[0])
    step.finish(None, learns=True, stops=False)
    told: list[Any] = []
    monkeypatch.setattr(made.objective.weighting, "observe", lambda **facts: told.append(facts))
    step.tell_losses_after(update_skipped=True)
    assert told == []
    step.tell_losses_after(update_skipped=False)
    assert [list(facts) for facts in told] == [["losses_after"]]


@pytest.mark.parametrize("aggregator", ["pcgrad", "sam_mtl"])
def test_gradients_of_a_split_step_have_the_factor_of_a_loss_scaler_once(aggregator: str) -> None:
    """A second backward, at moved parameters, has it too."""

    def gradients(factor: float | None) -> dict[str, Tensor]:
        made = parts()
        scaler = None if factor is None else SimpleNamespace(scale=lambda loss: loss * factor)
        backward = LossScaler(SimpleNamespace(scaler=scaler))  # type: ignore[arg-type]
        formed = made.gradients(aggregator, "split")
        step = SplitStep(made.model, made.objective, made.loss_pass, formed, backward)
        (batch,) = batches = micro_batches(made.rows, WHOLE, "split")
        made.model.train()
        step.begin(batches)
        step.loss(made.model, batch)
        step.finish(factor, learns=True, stops=False)
        return {name: p.grad.clone() for name, p in made.model.named_parameters() if p.grad is not None}

    plain, scaled = gradients(None), gradients(1024.0)
    assert plain.keys() == scaled.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(scaled[name], 1024 * gradient, rtol=1e-3, atol=1e-3)
