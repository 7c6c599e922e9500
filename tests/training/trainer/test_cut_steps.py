"""Steps that are cut by tokens are those that are not, in as many micro-batches as they need."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from hf_mtl.balancing import GradientOptions
from hf_mtl.training.trainer.trainer import MultiTaskTrainer
from tests.training.partition_worker import train
from tests.training.test_partition import assert_same_run
from tests.training.trainers import make, parameters, records, same

ROWS: dict[str, Any] = {"per_device_train_batch_size": 16, "max_steps": 3}


def micro_batches(trainer: MultiTaskTrainer) -> list[int]:
    """Micro-batches of each step of a run of one process."""
    collator, deal = trainer.train_collator(), trainer.deal()
    plans = [trainer.steps.plan(step) for step in range(trainer.course.total_steps)]
    return [len(deal.parts(plan, collator.lengths(plan.tasks, plan.rows), True)) for plan in plans]


@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
def test_tokens_do_not_change_the_update(layout: Any) -> None:
    reference, _ = train(32, 1, "sgd", "uw", layout="padded", steps=6)
    found, trainer = train(32, 1, "sgd", "uw", layout, steps=6, tokens_per_micro_batch=90)
    assert_same_run(found, reference, "sgd")
    assert trainer.budget.backward_passes == sum(micro_batches(trainer)) > 12


# Losses of the whole step first; task gradients out of tapes, one after the other, and of a second backward.
METHODS: dict[str, dict[str, Any]] = {
    "famo": {"weighting": "famo"},
    "gls": {"weighting": "gls"},
    "pcgrad": {"aggregator": "pcgrad", "exposure": "tasks"},
    "split": {"aggregator": "mgda", "exposure": "tasks", "gradients": GradientOptions(layout="split")},
    "sam_mtl": {"aggregator": "sam_mtl", "exposure": "tasks"},
}


@pytest.mark.parametrize("name", METHODS)
def test_tokens_do_not_change_what_a_balancing_method_does(name: str) -> None:
    options: dict[str, Any] = {"balancing": METHODS[name], "steps": 3, "mixture": {"min_per_task": 1}}
    reference, _ = train(24, 1, "sgd", "ew", "packed", **options)
    found, trainer = train(24, 1, "sgd", "ew", "packed", tokens_per_micro_batch=90, **options)
    assert_same_run(found, reference, "sgd")
    assert min(micro_batches(trainer)) > 1


class Notes(TrainerCallback):
    """Notes what the loop calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("begin")

    def on_substep_end(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("substep")

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("end")


def test_steps_epochs_passes_tokens_and_operations_are_counted_as_they_are(tmp_path: Path) -> None:
    notes = Notes()
    counted = {"include_num_input_tokens_seen": "all", **ROWS}
    whole = make(tmp_path, **counted)
    cut = make(tmp_path, tokens_per_micro_batch=72, callbacks=[notes], **counted)
    whole.train()
    cut.train()
    counts = micro_batches(cut)
    assert len(set(counts)) > 1, "steps differ in how many micro-batches they need"
    assert notes.calls == [name for count in counts for name in ("begin", *["substep"] * (count - 1), "end")]
    assert cut.state.global_step == 3
    assert cut.state.epoch == whole.state.epoch
    assert cut.state.num_input_tokens_seen == whole.state.num_input_tokens_seen
    assert records(cut, "backward_passes")[:-1] == [sum(counts[: step + 1]) for step in range(3)]
    for key in ("loss", "grad_norm", "flops"):
        assert records(cut, key) == pytest.approx(records(whole, key), rel=1e-4), key


def test_a_resumed_run_makes_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"tokens_per_micro_batch": 80, **ROWS, "max_steps": 6, "weighting": "uw"}
    whole = make(tmp_path / "whole", **options)
    whole.train()
    first = make(tmp_path / "cut", save_strategy="steps", save_steps=3, **options)
    first.train()
    again = make(tmp_path / "cut", **options)
    again.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-3"))
    assert same(parameters(again), parameters(whole))
    assert again.budget.backward_passes == whole.budget.backward_passes


def test_a_run_may_go_on_with_other_tokens_and_with_rows(tmp_path: Path) -> None:
    sgd = {"optim": "sgd", "learning_rate": 0.1}  # adamw blows up the rounding of gradients that are zero
    options: dict[str, Any] = {**ROWS, **sgd, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    make(tmp_path, tokens_per_micro_batch=80, **options).train()
    ends = []
    for changed in (
        {"tokens_per_micro_batch": 200},
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
    ):
        again = make(tmp_path, **{**options, "save_strategy": "no", **changed})
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
        ends.append(torch.cat([value.flatten() for value in parameters(again).values()]))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-5)


def test_a_sample_of_conflicts_is_cut_by_tokens_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    balancing = {"gradients": {"log_every": 1}}
    plain = make(tmp_path, balancing=balancing, **ROWS)
    cut = make(tmp_path, balancing=balancing, tokens_per_micro_batch=40, **ROWS)
    sizes: list[int] = []
    rows = cut.step_callback.samples._rows  # type: ignore[union-attr]
    batch = rows.batch
    monkeypatch.setattr(rows, "batch", lambda *args: sizes.append(len(args[0][0])) or batch(*args))
    plain.train()
    cut.train()
    assert len(sizes) > 6
    key = "gradient_norm/topic"
    assert records(cut, key) == pytest.approx(records(plain, key), rel=1e-3)
