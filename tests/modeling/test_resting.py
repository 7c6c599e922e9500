"""Heads that were taken over rest while they have no rows: they stay as they are, to the bit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.modeling.resting import rest_heads, resting_layers
from hf_mtl.tasks import MetricSpec, Task
from tests import tiny
from tests.training import trainers

NEW: dict[str, Task] = {"new": SequenceClassification(labels=["good", "bad"])}


def taken(folder: Path, head: str | None = None, **options: object) -> MultiTaskModel:
    model = tiny.model(head=head)
    model.set_statistics("score", mean=[1.0, 2.0], std=[2.0, 3.0])
    model.set_calibration_temperature("mood", 1.7)
    model.save_pretrained(folder)
    return MultiTaskModel.from_backbone(folder, NEW, head, keep_tasks=True, **options)  # type: ignore[arg-type]


def heads(model: MultiTaskModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.heads.state_dict().items()}


@pytest.mark.parametrize("head", [None, "hierarchical", "vmtl", "vip"])
@pytest.mark.parametrize("options", [{}, {"freeze": "encoder"}, {"peft": "lora"}, {"dtype": "bfloat16"}])
def test_training_another_task_leaves_kept_heads_as_they_are(
    head: str | None, options: dict[str, object], tmp_path: Path
) -> None:
    model = taken(tmp_path / "a", head, **options)
    before, encoder = heads(model), [value.clone() for value in model.encoder.parameters()]
    trainer = trainers.make(
        tmp_path / "b",
        model=model,
        train={"new": tiny.rows("mood", 24)},
        evaluation={"new": tiny.rows("mood", 12, 1), "mood": tiny.rows("mood", 12, 1)},
        weight_decay=0.5,
        learning_rate=0.05,
        temperature_scaling=True,
        max_steps=3,
    )
    trainer.train()
    after = heads(model)
    groups = {name: tasks for name, tasks in model.heads.sharing.items() if tasks != ["new"]}
    kept = [name for name in before if name.partition(".")[0] in {"task_topic", "task_mood", "task_score", *groups}]
    assert len(kept) >= 6
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not all(torch.equal(before[name], after[name]) for name in before)
    moved = any(not torch.equal(one, other) for one, other in zip(encoder, model.encoder.parameters(), strict=True))
    assert moved == ("freeze" not in options)
    assert model.config.calibration_temperatures is not None
    assert model.config.calibration_temperatures["mood"] == 1.7
    assert "new" in model.config.calibration_temperatures
    assert "eval_mood_f1_macro" in trainer.evaluate()


def test_a_kept_task_with_rows_is_trained_and_a_later_trainer_takes_it_back(tmp_path: Path) -> None:
    model = taken(tmp_path / "a")
    rest_heads(model, ["new"])
    assert not any(parameter.requires_grad for parameter in model.heads.of("mood").parameters())
    before = heads(model)
    trainer = trainers.make(
        tmp_path / "b",
        model=model,
        train={"new": tiny.rows("mood", 12), "mood": tiny.rows("mood", 12)},
        evaluation={"new": tiny.rows("mood", 12, 1), "mood": tiny.rows("mood", 12, 1)},
    )
    trainer.train()
    same = {name: torch.equal(value, before[name]) for name, value in heads(model).items()}
    assert not all(same[name] for name in same if name.startswith("task_mood."))
    assert all(same[name] for name in same if name.startswith(("task_topic.", "task_score.")))


def test_what_was_frozen_by_hand_stays_so(tmp_path: Path) -> None:
    model = taken(tmp_path)
    bias = next(iter(model.heads.of("mood").parameters())).requires_grad_(False)
    rest_heads(model, ["new"])
    rest_heads(model, ["mood", "new"])
    assert [value.requires_grad for value in model.heads.of("mood").parameters()].count(False) == 1
    assert not bias.requires_grad


def test_layers_that_a_resting_head_shares_rest_too(tmp_path: Path) -> None:
    model = taken(tmp_path, "hierarchical")
    assert rest_heads(model, ["mood", "new"]) == ["topic", "score"]
    assert resting_layers(model, ["mood", "new"]) == {"mood": ["topic", "score"]}
    assert not any(parameter.requires_grad for parameter in model.heads.get_submodule("shared_0").parameters())
    assert all(parameter.requires_grad for parameter in model.heads.get_submodule("shared_1").parameters())
    rest_heads(model, [*tiny.TASKS, "new"])
    assert all(parameter.requires_grad for parameter in model.heads.parameters())
    assert resting_layers(model, [*tiny.TASKS, "new"]) == {}


def test_heads_that_were_not_taken_over_do_not_rest() -> None:
    model = tiny.model()
    assert rest_heads(model, ["mood"]) == []
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_metrics_that_only_the_file_of_the_backbone_names_are_not_run(tmp_path: Path) -> None:
    metric = MetricSpec(name="exact_match", greater_is_better=True)
    model = tiny.model(tasks={"mood": SequenceClassification(labels=["good", "bad"], metrics=[metric])})
    model.save_pretrained(tmp_path / "a")
    joint = MultiTaskModel.from_backbone(tmp_path / "a", NEW, keep_tasks=True)
    rows = {"new": tiny.rows("mood", 12), "mood": tiny.rows("mood", 12)}
    with pytest.raises(DataError, match=r"tasks\.mood\.metrics: a file of the model or run names 'exact_match'"):
        trainers.make(tmp_path / "b", model=joint, train={"new": rows["new"]}, evaluation=rows)
