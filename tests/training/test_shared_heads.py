"""Runs in which two tasks have one head."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import Tensor

from hf_mtl import MultiTaskModel
from hf_mtl.errors import CheckpointError
from hf_mtl.tasks import Task
from tests import tiny
from tests.modeling.families import some_fast
from tests.modeling.heads.probabilistic import EAGER
from tests.training.trainers import make, parameters, records, same

SIZES = {"topic": 30, "twin": 18, "score": 18}
HEADS = ["linear", "vip", "vmtl", "hierarchical", "mt_vib"]


def tasks(head: str = "linear", **options: Any) -> dict[str, Task]:
    shared = {"type": head, "share": "both", **EAGER.get(head, {})}
    topic = tiny.TASKS["topic"].model_copy(update={"head": shared})
    return {"topic": topic, "twin": topic.model_copy(update=options), "score": tiny.TASKS["score"]}


def rows(seed: int = 0) -> dict[str, Dataset]:
    drawn = {"twin": tiny.rows("topic", SIZES["twin"], seed + 5)}
    return {name: drawn.get(name) or tiny.rows(name, size, seed) for name, size in SIZES.items()}


def model(head: str = "linear", **options: Any) -> MultiTaskModel:
    return tiny.model(tasks=tasks(head, **options), config={"initializer_range": 0.05}, head="linear")


def run(folder: Path, made: MultiTaskModel, **options: Any) -> Any:
    return make(folder, model=made, train=rows(), evaluation=rows(seed=1), **options)


def shared(found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in found.items() if name.startswith("heads.head_both.")}


@pytest.mark.parametrize("head", HEADS)
def test_a_run_with_a_shared_head_resumes_in_the_same_bits(tmp_path: Path, head: str) -> None:
    options: dict[str, Any] = {"optim": "adamw_torch", "save_strategy": "steps", "save_steps": 2, "weighting": "uw"}
    whole = run(tmp_path, model(head), **options)
    before = shared(parameters(whole))
    whole.train()
    assert all(not torch.equal(value, before[name]) for name, value in shared(parameters(whole)).items())
    resumed = run(tmp_path / "resumed", model(head), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(whole))
    assert same(dict(resumed.model.named_buffers()), dict(whole.model.named_buffers()))
    if head == "vip":  # one tau, told of both tasks
        assert records(whole, "tau/topic") == records(whole, "tau/twin")


def test_a_run_that_shared_a_head_is_not_resumed_with_heads_apart(tmp_path: Path) -> None:
    run(tmp_path, model(), save_strategy="steps", save_steps=2).train()
    apart = tiny.model(tasks={**tasks(), "twin": tiny.TASKS["topic"].model_copy(update={"head": "linear"})})
    with pytest.raises(CheckpointError, match="model.tasks"):
        run(tmp_path, apart).train(resume_from_checkpoint=True)


METHODS: list[dict[str, Any]] = [
    {},
    {"balancing": {"aggregator": "pcgrad"}},
    {"balancing": {"aggregator": "mgda", "gradients": {"layout": "split"}}},
    {"balancing": {"aggregator": {"name": "sam_mtl", "rho": 0.05}}},
]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("head", some_fast(("linear", "vmtl"), "vmtl"))
def test_micro_batches_do_not_change_the_update_of_a_shared_head(
    tmp_path: Path, head: str, method: dict[str, Any]
) -> None:
    updates = []
    for size, accumulation in ((16, 1), (4, 4)):
        options: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 3, "max_grad_norm": 0.0}
        trainer = run(
            tmp_path,
            model(head),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            **{**options, **method},
        )
        before = parameters(trainer)
        trainer.train()
        updates.append({name: (value - before[name]).double() for name, value in parameters(trainer).items()})
    for name, update in shared(updates[0]).items():
        assert (updates[1][name] - update).norm() <= 1e-3 * update.norm(), name
        assert update.norm() > 0


def test_beside_an_aggregator_a_shared_head_has_the_weighted_sum_of_its_tasks(tmp_path: Path) -> None:
    """As heads have, and unlike the encoder: it is no part of what the aggregator decides."""
    options: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 1, "max_grad_norm": 0.0}
    found = []
    for aggregator in ("sum", "pcgrad", "mgda"):
        trainer = run(tmp_path, model(), balancing={"aggregator": aggregator}, **options)
        trainer.train()
        found.append(parameters(trainer))
    for other in found[1:]:
        for name, value in shared(found[0]).items():
            torch.testing.assert_close(other[name], value)
        assert any(not torch.allclose(other[name], value) for name, value in found[0].items() if "encoder" in name)


def test_a_shared_head_learns_on_while_one_of_its_tasks_trains(tmp_path: Path) -> None:
    def moved(*schedules: dict[str, Any]) -> set[str]:
        trainer = run(tmp_path, model(), schedules=schedules, max_steps=3, window_steps=3)
        before = parameters(trainer)
        trainer.train()
        after = parameters(trainer)
        return {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}

    leave = [{"type": "leave", "task": name, "at": {"step": 0}} for name in ("topic", "twin")]
    assert "head_both" in moved(leave[0])
    assert "head_both" in moved(leave[1])
    assert "head_both" not in moved(*leave)


def test_its_rate_is_said_by_one_of_its_tasks(tmp_path: Path) -> None:
    trainer = run(tmp_path, model(head_learning_rate=7e-3), head_learning_rate=2e-3, learning_rate=1e-4)
    groups = trainer.create_optimizer().param_groups
    found = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in groups) == len(list(trainer.model.parameters()))
    assert {found[id(parameter)] for parameter in trainer.model.heads.parameters_of("topic")} == {7e-3}
    assert {found[id(parameter)] for parameter in trainer.model.heads.parameters_of("score")} == {2e-3}


def test_each_task_is_scored_with_its_own_rows_and_temperature(tmp_path: Path) -> None:
    trainer = run(tmp_path, model(), temperature_scaling=True, max_steps=6, learning_rate=1e-2)
    trainer.train()
    temperatures = trainer.model.config.calibration_temperatures
    assert temperatures["topic"] != temperatures["twin"]
    scores = trainer.evaluate()
    assert scores["eval_topic_loss"] != scores["eval_twin_loss"]
    found = trainer.predict(rows(seed=1)).predictions
    assert np.isfinite(found["topic"]).all()
    assert len(found["twin"]) == SIZES["twin"]
