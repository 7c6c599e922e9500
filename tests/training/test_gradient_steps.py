"""Steps that decide on task gradients: precision, scaler, heads, adapters, phases, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl import SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.gradients import JacobianRows
from hf_mtl.training.step.result import StepResult
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.trainers import make, parameters, records, same

PCGRAD = {"weighting": None, "aggregator": "pcgrad"}
SGD: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.05, "max_grad_norm": 0.0}


def moved(folder: Path, scaler: Any = None, **options: Any) -> dict[str, torch.Tensor]:
    """What a run did to each parameter."""
    trainer = make(folder, **{**SGD, "balancing": PCGRAD, **options})
    if scaler is not None:
        trainer.accelerator.scaler = scaler
    before = parameters(trainer)
    trainer.train()
    return {key: value - before[key] for key, value in parameters(trainer).items()}


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    left, right = (torch.cat([run[key].flatten() for key in expected]) for run in (found, expected))
    assert right.norm() > 0
    return float((left - right).norm() / right.norm())


@pytest.mark.parametrize("aggregator", some_fast(("pcgrad", "cagrad", "graddrop", "sam_mtl"), "graddrop"))
@pytest.mark.parametrize("hold", ["float32", "recompute"])
def test_bf16_makes_the_same_decisions_up_to_its_rounding(tmp_path: Path, aggregator: str, hold: str) -> None:
    section = {"weighting": None, "aggregator": aggregator, "gradients": {"hold": hold}}
    expected = moved(tmp_path / "a", balancing=section)
    assert distance(moved(tmp_path / "b", balancing=section, bf16=True), expected) < 0.1  # 8 bits, four steps


@pytest.mark.parametrize("aggregator", ["pcgrad", "cagrad", "graddrop", "sam_mtl"])
def test_a_loss_scaler_changes_nothing(tmp_path: Path, aggregator: str) -> None:
    """Powers of two change no bit; the solvers see gradients without the factor."""
    section = {"weighting": "uw", "aggregator": aggregator}
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=10_000)
    found = moved(tmp_path / "a", scaler, balancing=section)
    assert scaler.get_scale() == 1024.0
    assert distance(found, moved(tmp_path / "b", balancing=section)) < 1e-6


@pytest.mark.parametrize("scale", [None, 4.0, 1.0])
def test_a_step_with_a_row_that_is_not_finite_is_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float | None
) -> None:
    trainer = make(tmp_path, balancing=PCGRAD, max_steps=3, weight_decay=0.1, **SGD)
    if scale is not None:
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    ordinary, calls = JacobianRows.gramian, []

    def broken(self: JacobianRows, chosen: Any = None) -> torch.Tensor:
        calls.append(parameters(trainer))
        return ordinary(self, chosen) * (torch.nan if len(calls) == 2 else 1.0)

    monkeypatch.setattr(JacobianRows, "gramian", broken)
    trainer.train()
    assert not same(calls[0], calls[1])
    assert same(calls[1], calls[2]), "the second step did nothing"
    assert records(trainer, "skipped_steps") == [1, 1]
    assert len(records(trainer, "conflict_rate")) == 2
    if scale is not None:
        assert trainer.accelerator.scaler.get_scale() == scale / 2, "the scaler saw why"


def test_clipping_sees_the_direction_that_was_decided_on(tmp_path: Path) -> None:
    free = moved(tmp_path / "a", max_steps=1)
    clipped = moved(tmp_path / "b", max_steps=1, max_grad_norm=0.01)
    norms = [torch.cat([value.flatten() for value in run.values()]).norm() for run in (free, clipped)]
    assert float(norms[1]) == pytest.approx(0.05 * 0.01, rel=1e-3)
    scaled = {key: value * (norms[1] / norms[0]) for key, value in free.items()}
    assert distance(clipped, scaled) < 1e-3


def test_equal_weighting_means_the_same_named_or_not_beside_an_aggregator(tmp_path: Path) -> None:
    found = [moved(tmp_path / str(w), balancing={"weighting": w, "aggregator": "sum"}) for w in (None, "ew")]
    assert same(*found)
    shorter = {"weighting": {"name": "ew", "weight_sum": 1.0}, "aggregator": "sum"}
    assert distance(moved(tmp_path / "c", balancing=shorter, max_steps=1), moved(tmp_path / "d", max_steps=1)) > 0.1


@pytest.mark.parametrize("layout", ["segments", "split"])
def test_norms_are_of_every_task_where_only_some_heads_have_penalties(tmp_path: Path, layout: str) -> None:
    head = {"mood": {"type": "vip"}}
    tasks = {
        name: task if name != "mood" else SequenceClassification(labels=["good", "bad"], head=head["mood"])
        for name, task in tiny.TASKS.items()
    }
    section = {"weighting": {"name": "gradnorm_scaling", "every": 1}, "gradients": {"layout": layout}}
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), balancing=section, max_steps=2)
    trainer.train()
    assert bool((trainer.weighting.norms > 1e-3).all()), "of every task"  # type: ignore[operator]


@pytest.mark.parametrize("aggregator", ["cagrad", "graddrop"])
def test_adapters_are_decided_on_alone(tmp_path: Path, aggregator: str) -> None:
    def run(layout: str) -> dict[str, torch.Tensor]:
        section = {"weighting": None, "aggregator": aggregator, "gradients": {"layout": layout}}
        return moved(tmp_path / layout, model=tiny.model(peft={"type": "lora", "r": 2}), balancing=section)

    segments, split = run("segments"), run("split")
    assert distance(segments, split) < 1e-4
    encoder = {key for key, value in segments.items() if key.startswith("encoder") and value.any()}
    assert encoder
    assert all("lora_" in key for key in encoder)


def test_a_scope_changes_who_decides_and_not_what_is_combined(tmp_path: Path) -> None:
    def run(scope: str, **options: Any) -> dict[str, torch.Tensor]:
        section = {"weighting": None, "aggregator": {"name": "mgda", "scope": scope}}
        return moved(tmp_path / scope, balancing=section, **options)

    whole, last = run("all"), run("last_layer")
    assert distance(last, whole) > 1e-3
    assert {key for key, value in last.items() if value.any()} == {key for key, value in whole.items() if value.any()}


def test_phases_of_heads_and_encoder_go_with_an_aggregator(tmp_path: Path) -> None:
    trainer = make(tmp_path, balancing=PCGRAD, schedules=[{"type": "alternating", "period": 2}], max_steps=8)
    trainer.train()
    assert 0 < len(records(trainer, "conflict_rate")) < 8, "only the encoder's phases have task gradients"
    assert all(torch.isfinite(value).all() for value in parameters(trainer).values())


def test_cost_in_phases_of_the_heads_leaves_old_conflicts_alone(tmp_path: Path) -> None:
    section = {"weighting": None, "aggregator": {"name": "cost", "start_epoch": 0}}
    schedules = [{"type": "alternating", "period": 2}]
    trainer = make(tmp_path, balancing=section, schedules=schedules, max_steps=8)
    trainer.train()
    assert len(records(trainer, "loss")) == 8


def test_a_search_of_cost_leaves_no_gradient_behind(tmp_path: Path) -> None:
    trainer = make(tmp_path, balancing={"weighting": None, "aggregator": {"name": "cost", "start_epoch": 0}})
    searches, search = [], trainer.teleportation._search  # type: ignore[union-attr]

    def watched(*arguments: Any) -> None:
        search(*arguments)
        searches.append([parameter.grad for parameter in trainer.model.parameters()])

    trainer.teleportation._search = watched  # type: ignore[union-attr, method-assign]
    trainer.train()
    assert searches, "the tiny tasks conflict in the first epoch"
    assert all(gradient is None or not gradient.any() for found in searches for gradient in found)


def test_a_search_of_cost_goes_on_in_a_process_without_a_row_of_the_step(tmp_path: Path) -> None:
    trainer = make(tmp_path, balancing={"weighting": None, "aggregator": {"name": "cost", "start_epoch": 0}})
    searches, search = [], trainer.teleportation._search  # type: ignore[union-attr]
    trainer.teleportation._search = lambda _, *given: searches.append(search([], *given))  # type: ignore
    trainer.train()
    assert searches


def test_with_one_task_an_aggregator_still_does_what_it_does(tmp_path: Path) -> None:
    def run(aggregator: Any) -> dict[str, torch.Tensor]:
        model = tiny.model(tasks={"mood": tiny.TASKS["mood"]})
        train = {"mood": tiny.rows("mood", 12)}
        section = {"weighting": None, "aggregator": aggregator}
        return moved(tmp_path / str(aggregator)[:3], model=model, train=train, evaluation=train, balancing=section)

    plain = run(None)
    assert distance(run("cagrad"), plain) < 1e-5
    assert distance(run({"name": "sam_mtl", "rho": 0.5}), plain) > 1e-3
    forgotten = run({"name": "ngdiff", "signs": [-1]})
    assert distance(forgotten, plain) > 1


def test_what_processes_chose_to_hold_comes_back_with_a_checkpoint(tmp_path: Path) -> None:
    options: dict[str, Any] = {"balancing": PCGRAD, "save_strategy": "steps", "save_steps": 2}
    first = make(tmp_path, **options)
    first.task_gradients.options = type(first.task_gradients.options)(hold="bfloat16")  # type: ignore[union-attr]
    first.train()
    resumed = make(tmp_path / "b", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.task_gradients.shared.hold == "bfloat16"  # type: ignore[union-attr]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"aggregator": "pcgrad"}, {"torch_compile": True}, "training.torch_compile.*pcgrad"),
    ({"aggregator": {"name": "pcgrad", "scope": "adapters"}}, {}, r"balancing\.aggregator\.scope"),
    ({"weighting": {"name": "gradnorm", "scope": "adapters"}}, {}, r"balancing\.weighting\.scope"),
    (
        {"aggregator": "sam_mtl", "gradients": {"layout": "segments"}},
        {},
        r"balancing\.gradients\.layout.*task by task",
    ),
    ({"gradients": {"hodl": "x"}}, {}, r"balancing\.gradients\.hodl: unknown key 'hodl'.*Did you mean 'hold'"),
    ({"gradients": {"hold": "float23"}}, {}, r"balancing\.gradients\.hold: unknown value 'float23'"),
]


@pytest.mark.parametrize(("section", "options", "said"), REFUSED)
def test_what_cannot_work_is_refused_before_training(
    tmp_path: Path, section: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        make(tmp_path, balancing={"weighting": None, **section}, **options)


def test_a_scope_of_which_nothing_is_trained_is_refused(tmp_path: Path) -> None:
    model = tiny.model()
    model.encoder.encoder.layer[-1].requires_grad_(False)
    with pytest.raises(UserError, match="nothing of it is trained"):
        make(tmp_path, model=model, balancing={"weighting": {"name": "gradnorm", "scope": "last_layer"}})


def test_a_step_that_was_broken_off_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"balancing": PCGRAD, "gradient_accumulation_steps": 2, "max_steps": 3}
    models = [tiny.model(head={"type": "vmtl", "warmup_steps": 0}) for _ in range(2)]  # which keeps moments
    expected, broken = (make(tmp_path / str(number), model=models[number], **options) for number in range(2))
    expected.train()
    ordinary, calls = broken.compute_loss, []

    def interrupt(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ordinary(*arguments, **more)

    monkeypatch.setattr(broken, "compute_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    broken.train()
    assert same(parameters(broken), parameters(expected))


def test_a_skipped_step_names_the_tasks_and_is_no_observation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(tmp_path, balancing={"weighting": "famo", "aggregator": "mgda"}, max_steps=2, **SGD)
    ordinary, calls, said = JacobianRows.gramian, [], []

    def broken(self: JacobianRows, chosen: Any = None) -> torch.Tensor:
        calls.append(1)
        found = ordinary(self, chosen)
        found[1, 1] = torch.nan if len(calls) == 1 else found[1, 1]
        return found

    monkeypatch.setattr(JacobianRows, "gramian", broken)
    monkeypatch.setattr("hf_mtl.training.step.task_gradients.logger.warning", said.append)
    observed: list[set[str]] = []
    monkeypatch.setattr(trainer.weighting, "observe", lambda **facts: observed.append(set(facts)))
    trainer.train()
    (warning,) = said
    assert warning.startswith("A step was skipped, the 1. so far: the gradient of 'mood' is not finite.")
    assert sum("losses_after" in facts for facts in observed) == 1, "of the second step alone"


def test_losses_that_are_not_finite_do_not_reach_what_learns_from_them(tmp_path: Path) -> None:
    trainer = make(tmp_path, mixture={"learn": {"objective": "dro"}})
    names = list(tiny.TASKS)
    values = torch.tensor([torch.nan, 1.0, torch.inf])
    ones = torch.ones(len(names))
    for step in range(3):
        trainer.scheduling.observe_losses(
            step, StepResult(values, ones, ones, ones, ones, factors=ones, unweighted=ones)
        )
    learner, other = trainer.mixture.learner, make(tmp_path, mixture={"learn": {"objective": "dro"}}).mixture.learner
    assert learner is not None
    assert other is not None
    for _ in range(3):
        other.observe_losses({names[1]: 1.0})
    for found, expected in zip(learner.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_last_step_of_an_epoch_is_of_that_epoch_for_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(tmp_path, balancing={"weighting": None, "aggregator": "cost"}, max_steps=16)
    assert trainer.teleportation is not None
    asked: list[int] = []
    monkeypatch.setattr(trainer.teleportation.aggregator, "due", lambda epoch: asked.append(epoch))
    triggered = type("Always", (), {"triggered": True, "sharpness_weights": torch.ones(3)})()
    monkeypatch.setattr(type(trainer.teleportation.aggregator), "last", triggered, raising=False)
    monkeypatch.setattr(trainer.teleportation.aggregator, "conflict", lambda gramian: triggered)
    trainer.train()
    per_epoch = trainer.course.steps_per_epoch
    assert asked == [step // per_epoch for step in range(16)]
    assert per_epoch < 16
