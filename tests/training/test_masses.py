"""Runs whose rows have other masses than 1: L_t is the sum of the row losses over the sum of the masses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer, SequenceClassification
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.training.trainer.run_identity import _hash
from tests import tiny
from tests.training.masses import encoded, with_masses
from tests.training.trainers import SMALL, make, parameters, records


def task_losses(trainer: MultiTaskTrainer, splits: dict[str, EncodedSplit], rows: dict[str, np.ndarray]) -> Any:
    """L_t of some rows of each task, by its definition."""
    collator = trainer.encoder.collator(splits, trainer.args)
    tasks = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows.values()])
    with torch.no_grad():
        found = trainer.model.eval()(**collator(tasks, np.concatenate(list(rows.values())))).row_losses
    masses = {name: splits[name].masses for name in rows}
    return {name: float(found[name].sum()) / masses[name][mine].sum() for name, mine in rows.items()}


def test_training_and_evaluation_divide_by_masses(tmp_path: Path) -> None:
    splits = with_masses(encoded(SMALL))
    trainer = make(tmp_path, train=splits, evaluation=splits, mixture={"min_per_task": 1}, max_steps=1)
    plan = trainer.steps.plan(0)
    rows = {name: plan.rows[plan.tasks == index] for index, name in enumerate(splits)}
    expected = task_losses(trainer, splits, rows)
    trainer.train()
    for name, loss in expected.items():
        assert records(trainer, f"loss/{name}") == [pytest.approx(loss, rel=1e-5)]
    scores, every = trainer.evaluate(), {name: np.arange(len(split)) for name, split in splits.items()}
    for name, loss in task_losses(trainer, splits, every).items():
        assert scores[f"eval_{name}_loss"] == pytest.approx(loss, rel=1e-5)
        assert scores[f"eval_{name}_loss"] < 0.8 * float(np.mean(splits[name].masses)) * loss, "no mean over rows"


def test_a_search_of_cost_takes_losses_over_masses(tmp_path: Path) -> None:
    section = {"weighting": None, "aggregator": {"name": "cost", "start_epoch": 0}}
    found = []
    for splits in (encoded(SMALL), with_masses(encoded(SMALL), lambda _, rows: np.full(rows, 2))):
        trainer = make(tmp_path, train=splits, balancing=section)
        assert trainer.teleportation is not None
        means = trainer.teleportation._mean_losses()
        (masses, *_) = [masses for _, masses in trainer.teleportation._all_rows(0, 0)]
        found.append(({name: float(loss) for name, loss in means.items()}, masses))
    (once, rows), (twice, masses) = found
    assert twice == pytest.approx({name: loss / 2 for name, loss in once.items()})
    assert masses == {name: 2 * count for name, count in rows.items()}


class StopAfterOne(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = True


# Only texts of the class "good" have a loss, which makes the others rows of mass 0, as texts without labelled tokens.
TASKS = {
    **tiny.TASKS,
    "mood": SequenceClassification(labels=["good", "bad"], class_weights={"good": 1.0, "bad": 0.0}),
}
SECTIONS: dict[str, dict[str, Any]] = {
    "uw": {"weighting": "uw"},
    "gls": {"weighting": "gls"},
    "famo": {"weighting": "famo", "exposure": "tasks"},
    "gradnorm_scaling": {"weighting": {"name": "gradnorm_scaling", "every": 1}},
    "uw+pcgrad": {"weighting": "uw", "aggregator": "pcgrad"},
    "cagrad, split": {"aggregator": "cagrad", "gradients": {"layout": "split"}},
    "upgrad": {"aggregator": "upgrad"},
    "sam_mtl": {"aggregator": "sam_mtl"},
}


def first_step(folder: Path, section: dict[str, Any], rows: EncodedSplit | None, **options: Any) -> MultiTaskTrainer:
    """A trainer before the first step, with these rows of mood in place of the usual ones."""
    splits = encoded(SMALL, TASKS)
    return make(
        folder,
        model=tiny.model(tasks=TASKS),
        train={**splits, **({} if rows is None else {"mood": rows})},
        balancing={"weighting": None, **section},
        mixture={"min_per_task": 1},
        callbacks=[StopAfterOne()],
        optim="sgd",
        learning_rate=0.1,
        max_grad_norm=0.0,
        weight_decay=0.1,
        **options,
    )


def rows_without_mass(folder: Path) -> EncodedSplit:
    """Rows of mood of which the first step has none that is good."""
    plan = first_step(folder, {}, None).steps.plan(0)
    good = next(row for row in range(SMALL["mood"]) if row not in plan.rows[plan.tasks == 1])
    labels = np.ones(SMALL["mood"], dtype=np.int64)
    labels[good] = 0
    return replace(encoded(SMALL, TASKS)["mood"], labels=labels, masses=(labels == 0).astype(np.int32))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_task_without_mass_in_a_step_is_as_one_whose_rows_were_dropped(tmp_path: Path, name: str) -> None:
    rows = rows_without_mass(tmp_path)
    drop = {"type": "enter", "task": "mood", "at": {"step": 1}, "freed_rows": "drop"}
    updates = []
    for schedules in ([], [drop]):
        trainer = first_step(tmp_path, SECTIONS[name], rows, schedules=schedules)
        before = {
            **parameters(trainer),
            **{key: p.detach().clone() for key, p in trainer.weighting.named_parameters()},
        }
        trainer.train()
        assert trainer.state.global_step == 1
        assert (trainer.steps.plan(0).counts[1] > 0) == (not schedules)
        assert not records(trainer, "loss/mood")
        after = {**parameters(trainer), **dict(trainer.weighting.named_parameters())}
        updates.append({key: value.detach() - before[key] for key, value in after.items()})
    absent, dropped = updates
    assert not any(update.any() for key, update in absent.items() if "task_mood" in key)
    for key, update in dropped.items():
        torch.testing.assert_close(absent[key], update, rtol=1e-3, atol=1e-6)
    assert any(update.any() for key, update in absent.items() if key.startswith("encoder"))


def test_rows_without_mass_train_and_score_without_nan(tmp_path: Path) -> None:
    rows = rows_without_mass(tmp_path)
    nothing = replace(rows, labels=np.ones(len(rows), dtype=np.int64), masses=np.zeros(len(rows), dtype=np.int32))
    section = {"weighting": "si", "exact_accumulation": False, "gradients": {"log_every": 1}}
    trainer = make(
        tmp_path,
        model=tiny.model(tasks=TASKS, head="vip"),
        train={**encoded(SMALL, TASKS), "mood": rows},
        evaluation={"mood": nothing},
        balancing=section,
        per_device_train_batch_size=3,
        gradient_accumulation_steps=3,
        max_steps=8,
    )
    trainer.train()
    assert all(torch.isfinite(value).all() for value in parameters(trainer).values())
    assert all(np.isfinite(value) for record in trainer.state.log_history for value in record.values())
    assert trainer.evaluate()["eval_mood_loss"] == 0.0
    assert 0 < len(records(trainer, "loss/mood")) < 8


def test_other_masses_are_other_rows() -> None:
    split = encoded({"mood": 6})["mood"]
    weighed = with_masses({"mood": split})["mood"]
    assert _hash(split) != _hash(weighed) != _hash(replace(weighed, masses=weighed.masses + 1))  # type: ignore[operator]
