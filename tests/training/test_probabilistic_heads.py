"""Heads that sample and have penalties, under the Trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiTaskModel, MultiTaskTrainer
from hf_mtl.balancing import available
from hf_mtl.modeling.heads.vip import LOG_TAU_BOUNDS
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.trainers import make, parameters, records, same

VIP = {"type": "vip"}
WEIGHTINGS = [name for name, family in available().items() if family == "weighting"]


def vip_model(dropout: float = 0.0, **options: Any) -> MultiTaskModel:
    return tiny.model(dropout=dropout, head={**VIP, **options})


def log_tau(trainer: MultiTaskTrainer) -> dict[str, float]:
    return {name: value.item() for name, value in parameters(trainer).items() if "log_tau" in name}


def test_penalties_and_tau_are_logged_per_task(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=vip_model())
    trainer.train()
    for task in tiny.TASKS:
        assert all(value > 0 for value in records(trainer, f"loss/{task}/kl"))
        assert all(0.9 < value < 1.1 for value in records(trainer, f"tau/{task}"))
        assert records(trainer, f"tau_at_bound/{task}") == [0.0] * 4
    # The Trainer's loss is the objective: data terms, and beside them 0.01 KL + gamma log tau.
    record = next(item for item in trainer.state.log_history if "loss" in item)
    gamma = {"topic": 1.0, "mood": 1.0, "score": 0.1}
    totals = [
        record[f"share/{t}"]
        * (record[f"loss/{t}"] + 0.01 * record[f"loss/{t}/kl"] + gamma[t] * record.get(f"loss/{t}/log_tau", 0.0))
        for t in tiny.TASKS
        if f"loss/{t}" in record
    ]
    assert record["loss"] == pytest.approx(sum(totals), rel=1e-4)


def test_the_share_of_steps_at_the_bound_of_tau_is_logged(tmp_path: Path) -> None:
    trainer = make(
        tmp_path,
        model=vip_model(gamma=10.0),
        max_steps=8,
        logging_steps=8,
        balancing_learning_rate=1.0,
        warmup_steps=0,
    )
    trainer.train()
    [share] = records(trainer, "tau_at_bound/topic")
    assert 0 < share < 1
    assert log_tau(trainer)["heads.task_topic.head.log_tau"] == pytest.approx(LOG_TAU_BOUNDS[0], abs=1e-6)


@pytest.mark.parametrize("clip", [0.05, 1.0])
def test_the_gradient_of_log_tau_does_not_shrink_the_others(tmp_path: Path, clip: float) -> None:
    moved = []
    for gamma in (1.0, 1000.0):
        trainer = make(
            tmp_path / str(gamma),
            model=vip_model(gamma=gamma),
            optim="sgd",
            learning_rate=0.1,
            max_steps=1,
            max_grad_norm=clip,
            balancing_learning_rate=1e-4,
        )
        trainer.train()
        moved.append(parameters(trainer))
    assert all(
        torch.equal(moved[0][name], moved[1][name]) == ("log_tau" not in name) for name in moved[0]
    )  # log tau moved a thousand times as far, and nothing else noticed


def test_log_tau_has_a_group_of_its_own(tmp_path: Path) -> None:
    trainer = make(
        tmp_path,
        model=vip_model(),
        weight_decay=0.1,
        head_learning_rate=0.5,
        balancing_learning_rate=0.25,
    )
    groups = trainer.create_optimizer().param_groups
    wanted = {id(value) for name, value in trainer.model.named_parameters() if "log_tau" in name}
    [group] = [group for group in groups if wanted & {id(item) for item in group["params"]}]
    assert {id(item) for item in group["params"]} == wanted
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.0)
    assert sum(len(group["params"]) for group in groups) == len(list(trainer.model.parameters()))


@pytest.mark.parametrize("weighting", some_fast(WEIGHTINGS, "uw", "gradnorm", "famo", "gls"))
@pytest.mark.parametrize("one_task", [False, True])
def test_every_weighting_trains_vip_on_mixed_and_one_task_steps(
    tmp_path: Path, weighting: str, one_task: bool
) -> None:
    options = {
        "name": weighting,
        **({"weights": {"topic": 1, "mood": 2, "score": 0.5}} if weighting == "fixed" else {}),
    }
    trainer = make(
        tmp_path, model=vip_model(), weighting=options, mixture={"one_task_per_step": one_task}, max_steps=9
    )
    before = parameters(trainer)
    trainer.train()
    after = parameters(trainer)
    assert all(torch.isfinite(value).all() for value in after.values())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in before if ".head." in name} <= moved


def test_bf16_training_keeps_log_tau_in_float32_and_finite(tmp_path: Path) -> None:
    trainer = make(tmp_path, model=vip_model(), bf16=True)
    trainer.train()
    assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in parameters(trainer).values())
    loaded = MultiTaskModel.from_pretrained(_saved(trainer, tmp_path), dtype="bfloat16")
    kept = {name: value for name, value in loaded.named_parameters() if "log_tau" in name}
    assert len(kept) == 3
    assert all(value.dtype == torch.float32 for value in kept.values())


def _saved(trainer: MultiTaskTrainer, folder: Path) -> Path:
    trainer.save_model(str(folder / "saved"))
    return folder / "saved"


def test_a_resumed_run_draws_the_same_noise(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2, "weighting": "uw"}
    whole = make(tmp_path, model=vip_model(dropout=0.1), **options)
    whole.train()
    resumed = make(tmp_path / "resumed", model=vip_model(dropout=0.1), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(whole))
    assert (
        records(resumed, "loss/topic/kl")
        == records(whole, "loss/topic/kl")[-len(records(resumed, "loss/topic/kl")) :]
    )


def test_the_noise_follows_the_seed_and_not_the_global_generator(tmp_path: Path) -> None:
    runs = []
    for seed, disturb in ((1, False), (1, True), (2, False)):
        trainer = make(tmp_path / f"{seed}{disturb}", model=vip_model(), seed=seed, data_seed=0)
        if disturb:
            torch.randn(7)
        trainer.train()
        runs.append(parameters(trainer))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_evaluation_in_the_middle_of_training_changes_nothing(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", model=vip_model(dropout=0.1))
    plain.train()
    evaluated = make(tmp_path / "evaluated", model=vip_model(dropout=0.1), eval_strategy="steps", eval_steps=1)
    evaluated.train()
    assert same(parameters(plain), parameters(evaluated))
    assert evaluated.evaluate()["eval_average"] == evaluated.evaluate()["eval_average"]
