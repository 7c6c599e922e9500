"""A training step asks an accelerator for nothing before it ends, with torch's meta device as the accelerator."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data._utils.pin_memory import pin_memory

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.batch import Batch, model_inputs, to_device
from hf_mtl.gradients.jacobian_rows import JacobianRows
from hf_mtl.gradients.layers import taped_layers
from hf_mtl.gradients.tape import Tape, sights
from hf_mtl.processes import Processes
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.result import StepResult
from tests import tiny
from tests.waits import META, raises_at_a_read, waits


def trainer(folder: Path, weighting: str = "ew", **model: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        str(folder),
        per_device_train_batch_size=12,
        max_steps=2,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        encoder_layout="packed",
    )
    return MultiTaskTrainer(
        tiny.model(dropout=0.1, **model),
        args,
        tiny.datasets(),
        processing_class=tiny.tokenizer(),
        balancing={"weighting": weighting},
    )


def objective_of(run: MultiTaskTrainer) -> Objective:
    penalties = run.model.heads.penalty_names
    return Objective(list(tiny.TASKS), run.weighting.to(META), Processes(device=META), penalties)


def batch_of(run: MultiTaskTrainer) -> Batch:
    batch: Batch = next(iter(run.get_train_dataloader()))
    return batch


def test_what_is_read_from_the_device_of_these_tests_fails() -> None:
    for read in (float, torch.Tensor.tolist, torch.Tensor.nonzero, torch.Tensor.cpu, lambda x: x[x > 0]):
        assert raises_at_a_read(read if read is not float else lambda x: float(x[0]))


def test_a_copy_to_the_device_that_is_waited_for_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    with waits(monkeypatch) as places:
        torch.ones(2).to(META, non_blocking=True)
        assert places == []
        torch.ones(2).to(META)
        torch.tensor([1.0], device=META)
    assert len(places) == 2


@pytest.mark.parametrize("weighting", ["ew", "uw", "uw_so", "imtl_l", "si", "rlw"])
def test_forward_and_backward_wait_for_nothing(
    tmp_path: Path, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, weighting)
    batch = batch_of(run)
    model, objective = run.model.to(META).train(), objective_of(run)
    with waits(monkeypatch) as places:
        moved = to_device(batch, META)
        objective.begin(batch["plan"], 1)
        loss = objective.micro_batch(model(**model_inputs(moved)), batch["plan"])
        loss.backward()
    assert places == []
    assert loss.device == META


@pytest.mark.parametrize(
    ("head", "pooling"),
    [
        *[("linear", pooling) for pooling in ("cls", "mean", "last", "max")],
        *[(head, None) for head in ("native", "mlp", "mt_vib", "vip", "vmtl", "hierarchical", "stl_cnn")],
    ],
)
def test_no_head_and_no_pooling_waits(
    tmp_path: Path, head: str, pooling: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, head=head, pooling=pooling)
    batch = batch_of(run)
    model, objective = run.model.to(META).train(), objective_of(run)
    with waits(monkeypatch) as places:
        objective.begin(batch["plan"], 1)
        moved = to_device(batch, META)
        objective.micro_batch(model(**model_inputs(moved)), batch["plan"]).backward()
    assert places == []


def test_task_gradients_are_formed_without_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(tmp_path)
    collator = run.train_collator()
    collator.arrangement = "segments"
    batch: Batch = next(iter(run._feed.loader(run.steps, collator)))
    model, objective = run.model.to(META).train(), objective_of(run)
    layers = taped_layers(model.encoder)
    tape = Tape(model.encoder, layers)
    held = JacobianRows([p for layer in layers for p in layer.parameters.values()], [], 3, torch.float32, Processes())
    held.begin()
    with waits(monkeypatch) as places:
        objective.begin(batch["plan"], 1)
        with tape.recording(sights(batch["packed"], packs=True)):
            outputs = model(**model_inputs(to_device(batch, META)))
            objective.micro_batch(outputs, batch["plan"]).backward()
            held.collect(layers)
        held.close()
        list(held.combine(torch.ones(3)))
    assert places == []


def test_a_step_is_read_once_and_then_known_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    numbers = {name: torch.rand(3).double() for name in ("losses", "counts", "masses", "weights")}
    numbers |= {name: torch.rand(3).double() for name in ("coefficients", "factors", "unweighted")}
    result = StepResult(**numbers, penalties={("a", "kl"): torch.tensor(2.0)}, votes=torch.tensor(1.0))
    expected = {name: value.tolist() for name, value in numbers.items()}

    class Elsewhere:
        type = "cuda"

    monkeypatch.setattr(torch.Tensor, "device", Elsewhere())
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: reads.append(self.shape) or self)
    here = result.on_host
    assert result.on_host is here
    monkeypatch.undo()
    assert len(reads) == 1
    assert {name: getattr(here, name).tolist() for name in numbers} == expected
    assert here.penalties == {("a", "kl"): 2.0}
    assert float(here.votes) == 1.0


def test_a_batch_stays_whole_when_its_memory_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(tmp_path)
    batch = batch_of(run)
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, *_: pinned.append(self) or self.clone())
    again = pin_memory(batch)
    monkeypatch.undo()
    assert len(pinned) >= 5
    run.model.eval()
    expected, found = run.model(**model_inputs(batch)), run.model(**model_inputs(again))
    for name, logits in expected.logits.items():
        assert torch.equal(found.logits[name], logits), name
