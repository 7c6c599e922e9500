"""Heads of several types in one model: each reads its own features, and all train, save and balance together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import Tensor

from hf_mtl import MultiTaskModel, run_recipe
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.heads import HEADS
from hf_mtl.tasks import Task
from tests import tiny
from tests.modeling.heads.probabilistic import EAGER
from tests.training import runs
from tests.training.trainers import make, parameters, records, same

# Sources: BERT's pooler (native), pooled states, the tokens (stl_cnn, on a frozen encoder alone).
TRAINED = ["native", "linear", "mlp", "vip", "mt_vib", "vmtl", "hierarchical"]
FROZEN = [*TRAINED, "stl_cnn"]
SIZE = 12


def kind(place: int, head: str) -> tuple[str, Task]:
    """A task of the tiny world for each head, classes and targets in turn."""
    name = list(tiny.TASKS)[place % 3]
    return f"{name}_{head}", tiny.TASKS[name].model_copy(update={"head": {"type": head, **EAGER.get(head, {})}})


def mixed(heads: list[str], seed: int = 3, **options: Any) -> MultiTaskModel:
    tasks = dict(kind(place, head) for place, head in enumerate(heads))
    return tiny.model(tasks=tasks, seed=seed, config={"initializer_range": 0.05}, **options)


def rows(model: MultiTaskModel, seed: int = 0) -> dict[str, Dataset]:
    return {name: tiny.rows(name.split("_")[0], SIZE, seed + place) for place, name in enumerate(model.tasks)}


def run(folder: Path, model: MultiTaskModel, **options: Any) -> Any:
    given = {"per_device_train_batch_size": 24, "max_steps": 4, "optim": "sgd", "learning_rate": 0.05, **options}
    given["mixture"] = {"min_per_task": 1, **given.get("mixture", {})}
    return make(folder, model=model, train=rows(model), evaluation=rows(model, seed=90), **given)


def of_heads(found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in found.items() if name.startswith("heads.")}


def test_every_head_is_among_these() -> None:
    assert set(FROZEN) == set(HEADS.names())


def test_each_head_reads_its_own_features() -> None:
    model = mixed(FROZEN, freeze="encoder").eval()
    ids = torch.randint(5, 60, (3, 7))
    with torch.no_grad():
        found, states = model(ids).logits, model.encoder(input_ids=ids)
        features = {
            "pooled": states.last_hidden_state[:, 0],
            "pooler": states.pooler_output,
            "tokens": Encoded(states.last_hidden_state.flatten(0, 1), torch.arange(0, 22, 7)),
        }
        sources = {name: model.heads.of(name).source for name in model.tasks}
        assert set(sources.values()) == set(features)
        for name, source in sources.items():
            wanted = model.heads.of(name).head(features[source])
            torch.testing.assert_close(found[name], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heads", [TRAINED, FROZEN], ids=["trained", "frozen encoder"])
def test_every_head_trains_and_comes_back(tmp_path: Path, heads: list[str]) -> None:
    frozen = "stl_cnn" in heads
    model = mixed(heads, freeze="encoder" if frozen else None)
    trainer = run(tmp_path, model, weighting="uw", max_steps=6)
    before = parameters(trainer)
    trainer.train()
    after = parameters(trainer)
    still = {name for name in of_heads(before) if torch.equal(before[name], after[name])}
    assert still == set()
    assert any(not torch.equal(before[name], after[name]) for name in before if "encoder" in name) is not frozen
    trainer.save_model(str(tmp_path / "saved"))
    loaded = MultiTaskModel.from_pretrained(tmp_path / "saved")
    assert [type(loaded.heads.of(name).head) for name in model.tasks] == [
        type(model.heads.of(name).head) for name in model.tasks
    ]
    assert same(dict(loaded.named_parameters()), {name: value.cpu() for name, value in after.items()})
    penalties = {name for task, name in model.heads.penalty_names}
    assert {"kl", "weight_kl"} <= penalties
    for task, name in model.heads.penalty_names:
        assert np.isfinite(records(trainer, f"loss/{task}/{name}")).all()


def test_auxiliary_parameters_alone_leave_the_groups_of_the_other_heads(tmp_path: Path) -> None:
    options: dict[str, Any] = {"weight_decay": 0.1, "head_learning_rate": 0.02, "balancing_learning_rate": 0.5}
    trainer = run(tmp_path, mixed(TRAINED), weighting="uw", **options)
    groups = trainer.create_optimizer().param_groups
    found = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    auxiliary = {id(parameter) for parameter in trainer.model.heads.auxiliary_parameters()}
    assert auxiliary
    for parameter in trainer.model.heads.parameters():
        rate, decay = found[id(parameter)]
        assert (rate == 0.5) == (id(parameter) in auxiliary)
        assert decay == 0.0 or id(parameter) not in auxiliary


@pytest.mark.parametrize("method", [{}, {"balancing": {"aggregator": "pcgrad"}}], ids=str)
def test_micro_batches_do_not_change_the_update_of_mixed_heads(tmp_path: Path, method: dict[str, Any]) -> None:
    updates = []
    for size, accumulation in ((24, 1), (6, 4)):
        trainer = run(
            tmp_path,
            mixed(TRAINED),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_grad_norm=0.0,
            max_steps=3,
            **method,
        )
        before = parameters(trainer)
        trainer.train()
        updates.append({name: (value - before[name]).double() for name, value in parameters(trainer).items()})
    whole, parts = (torch.cat([value.flatten() for value in of_heads(one).values()]) for one in updates)
    assert (parts - whole).norm() <= 1e-4 * whole.norm()


def test_a_run_of_mixed_heads_resumes_in_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optim": "adamw_torch", "save_strategy": "steps", "save_steps": 2, "weighting": "uw"}
    whole = run(tmp_path, mixed(TRAINED, dropout=0.1), **options)
    whole.train()
    resumed = run(tmp_path / "resumed", mixed(TRAINED, seed=9, dropout=0.1), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(whole))


def test_a_recipe_takes_heads_of_several_types(tmp_path: Path) -> None:
    with runs.own_cache(tmp_path):
        recipe = runs.write_recipe(tmp_path, output_dir=str(tmp_path / "run"), max_steps=4)
        heads = ["tasks.topic.head={type: vip, beta: 0.1}", "tasks.mood.head=native", "tasks.score.head=mlp"]
        assert set(run_recipe(recipe, heads)["tasks"]) == {"topic", "mood", "score"}
        loaded = MultiTaskModel.from_pretrained(tmp_path / "run")
        assert [loaded.heads.of(name).head.name for name in loaded.tasks] == ["vip", "native", "mlp"]
