"""Runs whose rows have weights: these multiply losses and penalties, and what they are divided by stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl import MultiTaskTrainer
from hf_mtl.data.collate import Collator
from hf_mtl.data.row_weights import scaled_weights
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.modeling import split_parameters
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.trainer.run_identity import _hash
from tests import tiny
from tests.training.masses import encoded, with_masses, with_weights
from tests.training.schedules.test_probes import prober
from tests.training.trainers import SMALL, make, parameters, records


def first_rows(trainer: MultiTaskTrainer) -> dict[str, np.ndarray]:
    plan = trainer.steps.plan(0)
    return {name: plan.rows[plan.tasks == index] for index, name in enumerate(trainer.model.tasks)}


def row_losses(trainer: MultiTaskTrainer, splits: dict[str, EncodedSplit], rows: dict[str, np.ndarray]) -> Any:
    """The losses of some rows of each task without weights, with the dropout of evaluation."""
    plain = {name: replace(split, weights=None) for name, split in splits.items()}
    collator = trainer.encoder.collator(plain, trainer.args)
    tasks = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows.values()])
    with torch.no_grad():
        return trainer.model.eval()(**collator(tasks, np.concatenate(list(rows.values())))).row_losses


def test_weights_multiply_the_numerator_alone(tmp_path: Path) -> None:
    splits = with_weights(with_masses(encoded(SMALL)))
    model = tiny.model(dropout=0.0)
    trainer = make(tmp_path, model=model, train=splits, mixture={"min_per_task": 1}, max_steps=1)
    rows = first_rows(trainer)
    losses = row_losses(trainer, splits, rows)
    trainer.train()
    for name, split in splits.items():
        weights = scaled_weights(split.weights)[rows[name]]  # type: ignore[arg-type]
        masses = split.masses[rows[name]]  # type: ignore[index]
        expected = float((weights * losses[name].numpy()).sum() / masses.sum())
        assert records(trainer, f"loss/{name}") == [pytest.approx(expected, rel=1e-5)]


def test_equal_weights_change_no_bit(tmp_path: Path) -> None:
    runs = []
    for splits in (encoded(SMALL), with_weights(encoded(SMALL), lambda _, rows: np.full(rows, 0.7))):
        trainer = make(tmp_path, model=tiny.model(head="vip"), train=splits, max_steps=2)
        trainer.train()
        runs.append(parameters(trainer))
    plain, weighted = runs
    assert all(torch.equal(plain[name], weighted[name]) for name in plain)


@pytest.mark.parametrize("weights", [None, [1.0, 3.0]])
def test_the_loss_of_an_evaluation_is_weighted_where_its_rows_have_weights(
    tmp_path: Path, weights: list[float] | None
) -> None:
    rows = with_masses(encoded({"mood": 12}))["mood"]
    given = None if weights is None else np.resize(weights, 12)
    scored = {"mood": replace(rows, weights=given)}
    trainer = make(tmp_path, train=encoded(SMALL), evaluation=scored)
    losses = row_losses(trainer, {"mood": rows}, {"mood": np.arange(12)})["mood"].numpy()
    counts = np.ones(12) if given is None else given
    expected = (counts * losses).sum() / (counts * rows.masses).sum()
    assert trainer.evaluate()["eval_mood_loss"] == pytest.approx(expected, rel=1e-5)


def test_metrics_are_weighted_where_a_task_asks_for_it(tmp_path: Path) -> None:
    update = {"weight": "w", "weighted_metrics": True, "metrics": [MetricSpec(name="accuracy")]}
    tasks = {"mood": tiny.TASKS["mood"].model_copy(update=update)}
    rows = tiny.rows("mood", 30).add_column("w", [1.0, 4.0, 0.0] * 10)
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), train={"mood": rows}, evaluation={"mood": rows})
    found = trainer.evaluate()
    right = trainer.predict({"mood": rows}).predictions["mood"].argmax(axis=1) == np.array(rows["label"])
    assert found["eval_mood_accuracy"] == pytest.approx(np.average(right, weights=rows["w"]))
    assert found["eval_mood_accuracy"] != pytest.approx(right.mean())


def test_penalties_of_a_row_are_weighted_as_its_loss() -> None:
    model = tiny.model(head="vip", dropout=0.0).train()
    split, noise = encoded({"topic": 6})["topic"], {"rows": torch.arange(6), "step": 1}
    weights = scaled_weights(np.arange(1.0, 7.0))
    plain, found = (
        model(**Collator({"topic": rows}, 0, 64)(np.zeros(6, dtype=np.int64), np.arange(6)), noise=noise)
        for rows in (split, replace(split, weights=weights))
    )
    factor = torch.from_numpy(weights).float()
    assert torch.equal(found.row_losses["topic"], plain.row_losses["topic"] * factor)
    torch.testing.assert_close(found.row_penalties["topic"], plain.row_penalties["topic"] * factor)
    for name, values in plain.penalty_values["topic"].items():
        assert torch.equal(found.penalty_values["topic"][name], values * factor)


def test_gradients_that_a_mixture_or_a_schedule_looks_at_are_of_weighted_losses(tmp_path: Path) -> None:
    splits, rows = with_weights(with_masses(encoded(SMALL))), np.array([3, 1, 7, 2])
    probe = prober(tmp_path, train=splits)
    with in_passing(probe.model, plain=True):
        found = probe._gradient("mood", rows)
    mood = splits["mood"]
    collator = Collator({"mood": replace(mood, weights=None)}, 0, 64)
    losses = probe.model.eval()(**collator(np.zeros(4, dtype=np.int64), rows)).row_losses["mood"]
    weights = torch.from_numpy(scaled_weights(mood.weights)[rows]).float()  # type: ignore[arg-type]
    loss = (weights * losses).sum() / float(mood.masses[rows].sum())  # type: ignore[index]
    shared = [parameter for _, parameter in split_parameters(probe.model)[0]]
    for mine, expected in zip(found, torch.autograd.grad(loss, shared, allow_unused=True), strict=True):
        if mine is not None:
            torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-7)


def test_other_weights_are_other_rows(tmp_path: Path) -> None:
    split = encoded({"mood": 6})["mood"]
    weighed = with_weights({"mood": split})["mood"]
    assert _hash(split) != _hash(weighed) != _hash(replace(weighed, weights=2 * weighed.weights))  # type: ignore[operator]
