"""What every head has that samples a latent while it is trained: partition, precision, checkpoints."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl import MultiTaskModel
from tests import tiny
from tests.modeling.heads.probabilistic import (
    DIM,
    EAGER,
    HEADS,
    PENALTIES,
    assert_equal,
    features,
    head_of,
    loss,
    make,
    noise,
)
from tests.training import trainers


def seen(name: str, **options: Any) -> MultiTaskModel:
    """A model whose tasks have had two steps, with priors of all kinds and parameters off their start."""
    model = make(name, **EAGER[name], **options)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    for step in range(2):
        for number, task in enumerate(tiny.TASKS):
            head_of(model, task).decode(features(4, seed=10 * step + number), noise(4, step))
        model.heads.end_step()
    return model


@torch.no_grad()
def predictions(model: MultiTaskModel) -> dict[str, Tensor]:
    ids = torch.arange(5, 29).reshape(3, 8)
    logits: dict[str, Tensor] = model.eval()(ids).logits
    return logits


# ---- One decoding ----


@pytest.mark.parametrize("task", tiny.TASKS)
@pytest.mark.parametrize("name", HEADS)
def test_a_row_has_one_sample_whatever_it_is_decoded_with(name: str, task: str) -> None:
    head, rows, keys = head_of(seen(name), task), features(), noise()
    whole = head.decode(rows, keys)
    parts = [head.decode(rows[cut], keys.segment(cut.start, cut.stop)) for cut in (slice(0, 2), slice(2, 5))]
    # Matrix products of other shapes round in another order.
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(torch.cat([part.outputs for part in parts]), whole.outputs, **close)
    assert list(whole.penalties) == PENALTIES[name] == list(head.penalty_names)
    for key, penalty in whole.penalties.items():
        assert penalty.values.shape == (5,)
        torch.testing.assert_close(torch.cat([part.penalties[key].values for part in parts]), penalty.values, **close)
    assert torch.equal(head.decode(rows, keys).outputs, whole.outputs)
    assert (head.decode(rows, noise(step=12)).outputs - whole.outputs).abs().min() > 1e-5


@pytest.mark.parametrize("name", HEADS)
def test_evaluation_is_deterministic_and_training_is_not(name: str) -> None:
    model = seen(name)
    head = head_of(model, "topic")
    sampled = head.decode(features(), noise()).outputs
    model.eval()
    assert torch.equal(head(features()), head(features()))
    assert (head(features()) - sampled).abs().min() > 0
    assert head(features()).dtype == sampled.dtype == torch.float32
    assert_equal(predictions(model), predictions(model))


@pytest.mark.parametrize("name", HEADS)
def test_no_rows_are_no_trouble(name: str) -> None:
    head = head_of(seen(name), "topic")
    decoded = head.decode(torch.zeros(0, 16), noise(0))
    assert decoded.outputs.shape == (0, 3)
    assert all(penalty.values.shape == (0,) for penalty in decoded.penalties.values())
    assert head(torch.zeros(0, 16)).shape == head.variance(torch.zeros(0, 16)).shape == (0, 3)
    before = copy.deepcopy(head.state_dict())
    head.end_step(head.step_sums())
    assert_equal(head.state_dict(), before)


@pytest.mark.parametrize("name", HEADS)
def test_penalties_are_close_in_bfloat16(name: str, tmp_path: Path) -> None:
    model = seen(name)
    model.save_pretrained(tmp_path)
    low = MultiTaskModel.from_pretrained(tmp_path, dtype=torch.bfloat16).train()
    for task in tiny.TASKS:
        exact = head_of(model, task).decode(features(), noise())
        found = head_of(low, task).decode(features().bfloat16(), noise())
        assert found.outputs.dtype == torch.float32
        # bfloat16 has 8 bits; mean and log-variance come out of matrix products in it.
        torch.testing.assert_close(found.outputs, exact.outputs, rtol=0.05, atol=0.1)
        for key, penalty in found.penalties.items():
            assert penalty.values.dtype == torch.float32
            torch.testing.assert_close(penalty.values, exact.penalties[key].values, rtol=0.05, atol=0.05)
        variance = head_of(low, task).variance(features().bfloat16())
        torch.testing.assert_close(variance, head_of(model, task).variance(features()), rtol=0.1, atol=0.01)


@pytest.mark.parametrize("name", HEADS)
def test_extreme_features_keep_everything_finite_under_autocast(name: str) -> None:
    head = head_of(seen(name), "mood")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoded = head.decode(1e4 * features(), noise())
        variance = head.variance(1e4 * features())
    loss(decoded).backward()
    assert all(penalty.values.isfinite().all() for penalty in decoded.penalties.values())
    assert variance.dtype == torch.float32
    assert variance.isfinite().all()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in head.parameters())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", HEADS)
def test_the_sum_over_dimensions_is_as_many_means(name: str, reduction: str) -> None:
    values = {
        kind: head_of(seen(name, kl_reduction=kind), "topic").decode(features(), noise()).penalties["kl"].values
        for kind in ("mean", "sum")
    }
    torch.testing.assert_close(values["sum"], DIM * values["mean"])


# ---- Sharing, checkpoints, copies ----


@pytest.mark.parametrize("name", HEADS)
def test_a_checkpoint_gives_equal_bits_and_running_statistics(name: str, tmp_path: Path) -> None:
    model = seen(name)
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert_equal(loaded.state_dict(), model.state_dict())
    for task in tiny.TASKS:
        found = head_of(loaded.train(), task).decode(features(), noise())
        assert torch.equal(found.outputs, head_of(model, task).decode(features(), noise()).outputs)
    assert_equal(predictions(loaded), predictions(model))


@pytest.mark.parametrize("name", HEADS)
def test_learned_and_running_statistics_stay_float32_in_a_bfloat16_model(name: str, tmp_path: Path) -> None:
    seen(name).save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    exact = ("log_noise_variance", "weight_log_variance", "_logits", "moments.sums", "statistics.")
    for key, value in loaded.heads.state_dict().items():
        if value.is_floating_point():
            assert value.dtype == (torch.float32 if any(part in key for part in exact) else torch.bfloat16), key


@pytest.mark.parametrize("name", HEADS)
def test_every_tensor_has_one_name(name: str) -> None:
    values = [*seen(name).state_dict(keep_vars=True).values()]
    assert len({id(value) for value in values}) == len(values)
    of_one_task = head_of(seen(name), "topic").state_dict()
    assert not any("shared" in key or "others" in key for key in of_one_task)


@pytest.mark.parametrize("name", HEADS)
def test_a_copy_shares_nothing_with_the_original(name: str) -> None:
    model = seen(name)
    twin = copy.deepcopy(model)
    expected = predictions(model)
    before = head_of(model.train(), "mood").decode(features(), noise()).penalties["kl"].values.detach()
    assert_equal(predictions(twin), expected)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 1.0
    changed = predictions(twin)
    assert not any(torch.allclose(changed[task], expected[task]) for task in expected)
    assert_equal(predictions(model), expected)
    assert torch.equal(head_of(model.train(), "mood").decode(features(), noise()).penalties["kl"].values, before)


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_other_options_share_nothing(name: str) -> None:
    tasks = {key: task.model_copy() for key, task in tiny.TASKS.items()}
    tasks["mood"] = tasks["mood"].model_copy(update={"head": {"type": name, "dim": 4}})
    model = tiny.model(tasks=tasks, head={"type": name, "dim": DIM}).train()
    head_of(model, "mood").decode(features(), noise())
    groups = [key for key, _ in model.heads.named_children() if key.startswith("shared")]
    assert len(groups) == (0 if name == "vmtl" else 2)
    if name == "vmtl":
        assert head_of(model, "mood").latent_logits is None
        assert head_of(model, "topic").latent_logits.shape == (1,)


@pytest.mark.parametrize("name", HEADS)
def test_adapters_on_the_encoder_are_trained_beside_it(name: str, tmp_path: Path) -> None:
    model = tiny.model(head={"type": name, "dim": DIM}, peft={"type": "lora", "r": 2})
    trainer = trainers.make(tmp_path, model=model, max_steps=2)
    trainer.train()
    assert all(parameter.requires_grad for parameter in model.heads.parameters())
    model.save_pretrained(tmp_path / "saved")
    assert_equal(predictions(MultiTaskModel.from_pretrained(tmp_path / "saved")), predictions(model))


@pytest.mark.parametrize("name", HEADS)
def test_the_model_gives_variances_on_request_in_the_units_of_the_labels(name: str) -> None:
    model = seen(name).eval()
    ids = torch.arange(5, 29).reshape(3, 8)
    plain = model(ids, uncertainty=True).variances
    model.set_statistics("score", mean=[1.0, 2.0], std=[3.0, 0.5])
    scaled = model(ids, uncertainty=True).variances
    assert plain["topic"].shape == (3, 3)
    assert (plain["topic"] > 0).all()
    torch.testing.assert_close(scaled["score"], plain["score"] * torch.tensor([9.0, 0.25]))
