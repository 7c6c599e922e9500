"""Alternating phases under the Trainer: who is trained when."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from tests import tiny
from tests.training.trainers import make, records, same
from tests.training.watching import encoder_of, heads_of, watched


def test_phases_train_heads_and_encoder_in_turn(tmp_path: Path) -> None:
    trainer, watch = watched(tmp_path, schedules=[{"type": "alternating", "period": 2}], weighting="uw")
    head_steps, encoder_steps = (0, 1, 4, 5), (2, 3, 6, 7)
    for step in range(1, 8):
        before, after = watch.after[step - 1], watch.after[step]
        assert same(encoder_of(before), encoder_of(after)) == (step in head_steps)
        heads = [heads_of(found, *tiny.TASKS) for found in (before, after)]
        assert same(*heads) == (step in encoder_steps)
    for step, graded in enumerate(watch.graded):
        assert any(name.startswith("encoder") for name in graded) == (step in encoder_steps)
        assert any(name.startswith("heads") for name in graded) == (step in head_steps)
    first = next(parameter for name, parameter in trainer.model.named_parameters() if name.startswith("encoder"))
    assert int(trainer.optimizer.state[first]["step"]) == len(encoder_steps)
    # UW's s rest with the encoder.
    [s] = trainer.weighting.parameters()
    assert int(trainer.optimizer.state[s]["step"]) == len(encoder_steps)


def test_in_a_head_phase_the_encoder_builds_no_graph(tmp_path: Path) -> None:
    trainer = make(tmp_path, schedules=[{"type": "alternating", "period": 2}], max_steps=4)
    seen: list[bool] = []
    trainer.model.encoder.register_forward_hook(lambda *call: seen.append(call[-1].last_hidden_state.requires_grad))
    trainer.train()
    assert set(seen[: len(seen) // 4]) == {False}
    assert True in seen
    flops = trainer.state.total_flos
    plain = make(tmp_path / "plain", max_steps=4)
    plain.train()
    assert flops < 0.75 * plain.state.total_flos


@pytest.mark.parametrize("part", [{"peft": {"type": "lora", "r": 2}}, {"freeze": 1}])
def test_phases_switch_only_what_is_trained_at_all(tmp_path: Path, part: dict[str, Any]) -> None:
    model = tiny.model(**part)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    options: dict[str, Any] = {"model": model, "max_steps": 4, "gradient_checkpointing": True}
    _, watch = watched(tmp_path, schedules=[{"type": "alternating", "period": 1}], **options)
    for step, graded in enumerate(watch.graded):
        room = "heads" if step % 2 == 0 else "encoder"
        # DistributedDataParallel and the optimizer were made with all of these.
        assert graded == {name for name in trained if name.startswith(room)}
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trained


def test_clipping_sees_the_active_group_alone(tmp_path: Path) -> None:
    norms = []

    class Norms(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            gradients = [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]
            norms.append(float(torch.stack([gradient.norm() for gradient in gradients]).norm()))

    options: dict[str, Any] = {"max_grad_norm": 1e-3, "max_steps": 4, "callbacks": [Norms()]}
    trainer = make(tmp_path, schedules=[{"type": "alternating", "period": 1}], **options)
    trainer.train()
    assert norms == pytest.approx([1e-3] * 4, rel=1e-2)  # clipping divides by the norm and 1e-6
    assert min(records(trainer, "grad_norm")) > 1e-2
