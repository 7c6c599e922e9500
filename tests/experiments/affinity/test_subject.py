from contextlib import suppress

import numpy as np
import pytest
import torch

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity.linearised import linearised
from hf_mtl.experiments.affinity.lookahead import sampled_lookaheads
from hf_mtl.modeling.losses import mean_loss
from tests import tiny
from tests.experiments.affinity.subjects import subject_of, tiny_subject


def test_a_loss_is_the_mean_of_the_tasks_row_losses() -> None:
    subject = tiny_subject()
    batch, mass = subject.batch(subject.train, "topic", np.arange(5))
    subject.model.eval()
    expected = mean_loss(subject.model(**batch).row_losses["topic"])
    assert mass == 5
    assert float(subject.loss("topic", batch, mass)) == pytest.approx(expected.item(), rel=1e-6)


def test_looking_leaves_parameters_gradients_modes_and_generators_to_the_bit() -> None:
    subject = tiny_subject()
    subject.model.train()
    for parameter in subject.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    state = torch.get_rng_state()
    with suppress(KeyError), subject.looking():
        assert not subject.model.training
        assert all(parameter.grad is None for parameter in subject.model.parameters())
        torch.rand(3)
        for parameter in subject.parameters:
            parameter.data.mul_(1.1)
        raise KeyError  # as a failure in the middle of it
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    assert subject.model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in subject.model.parameters() if p.grad is not None)
    assert all(parameter.grad is not None for parameter in subject.model.parameters())


def test_one_task_and_a_frozen_encoder_are_refused() -> None:
    rows = tiny.datasets({"topic": 6, "mood": 6})
    with pytest.raises(UserError, match="fewer than two"):
        subject_of(tiny.model(), {"topic": rows["topic"]}, {})
    with pytest.raises(UserError, match="nothing that its tasks share is trained"):
        subject_of(tiny.model(freeze="encoder"), rows, {})


def test_a_loss_below_0_is_refused() -> None:
    subject = tiny_subject()
    batch, mass = subject.batch(subject.train, "topic", np.arange(5))
    batch["row_weights"] = {"topic": torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0])}
    with pytest.raises(UserError, match=r"tasks.topic: has a row loss of -"):
        subject.loss("topic", batch, mass)


LORA = {"type": "lora", "r": 2, "target_modules": ["query", "value"]}


def test_of_adapters_those_that_all_share_are_looked_at_and_others_are_refused() -> None:
    rows = tiny.datasets({"topic": 6, "mood": 6})
    subject = subject_of(tiny.model(peft=LORA), rows, rows)
    assert sum(parameter.numel() for parameter in subject.parameters) == 2 * 2 * 2 * 2 * 16  # layers, places, A and B
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    assert np.isfinite(linearised(subject, 6, seed=0, dimensions=32).values).all()
    assert (sampled_lookaheads(subject, 1, 0.5)[0].diagonal() > 0).all()
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    with pytest.raises(UserError, match="nothing that its tasks share is trained"):
        subject_of(tiny.model(peft={"per_task": LORA}), rows, {})
