"""What a recipe's run takes: steps, rows and tokens of each task, and by a short try operations and seconds."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.modeling.parameters import training_flops
from hf_mtl.progress import no_bars, no_load_reports
from hf_mtl.recipe import Recipe
from hf_mtl.schedules import ParameterGroup
from hf_mtl.training.run.plan import follow_mixture
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare
from hf_mtl.training.run.untrained import UNRECORDED
from hf_mtl.training.schedules.frozen_groups import FrozenGroups
from hf_mtl.training.trainer.step_callback import StepCallback
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

TRIED = 20
"""Optimizer steps of a try, of which the first few are not timed."""
_LOOKS = 50  # with methods that look at the model between steps, most of them every 50 steps
_WARM = 5
_TOKENS = range(1000)


@dataclass(frozen=True)
class Cost:
    """What a run of a recipe takes.

    Args:
        steps: Optimizer steps that the recipe asks for.
        epochs: Passes over all training rows in them.
        rows: Expected rows of each task in all of them.
        tokens: Expected tokens of each task.
        tested: Tasks with test rows.
        passes_per_step: Backward passes of a step.
        flops_per_step: Operations of a step, on average over the run; None: not tried.
        seconds_per_step: Seconds of a step on this machine; None: not tried.
        unit: Rows of a part where training rows are drawn in a ratio; None: they are not.
    """

    steps: int
    epochs: float
    rows: dict[str, float]
    tokens: dict[str, float]
    tested: list[str] = field(default_factory=list)
    passes_per_step: float = 1.0
    flops_per_step: float | None = None
    seconds_per_step: float | None = None
    unit: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def share(self, task: str, by: str) -> float:
        """Return a task's share of the run.

        Args:
            task: The task.
            by: ``rows`` or ``tokens``.
        """
        counts: dict[str, float] = getattr(self, by)
        return counts[task] / sum(counts.values())


def cost_of(recipe: Recipe, tried: bool, folder: Path) -> Cost:
    """Work out what a run of a recipe takes.

    Args:
        recipe: The recipe.
        tried: Whether to train a few steps, to count operations and time.
        folder: Folder of the try; removed at the end.

    Raises:
        UserError: As `run_recipe` would.
    """
    try:
        with no_bars(), no_load_reports():
            args = make_arguments(recipe, output_dir=str(folder), **UNRECORDED, disable_tqdm=True)
            prepared = prepare(recipe, args, tokenizer_folder=None)
            return _cost(prepared, tried)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cost(prepared: Prepared, tried: bool) -> Cost:
    clock = _Stop()
    trainer = prepared.trainer(prepared.new_model(), callbacks=[clock])
    trainer.tells_notes = False
    trainer.remove_callback(PrinterCallback)
    rows, tokens = _exposure(trainer)
    cut = prepared.args.tokens_per_micro_batch is not None
    found: dict[str, Any] = {
        "steps": trainer.course.total_steps,
        "epochs": trainer.course.total_steps / trainer.course.steps_per_epoch,
        "rows": rows,
        "tokens": tokens,
        "tested": list(prepared.split("test")),
        "passes_per_step": float(prepared.args.gradient_accumulation_steps),
        "unit": None if prepared.imbalance is None else prepared.imbalance.unit,
    }
    if tried or cut:
        found |= _tried(trainer, clock)
    return Cost(**found)


def _exposure(trainer: MultiTaskTrainer) -> tuple[dict[str, float], dict[str, float]]:
    """Return the rows and the tokens that every task has in the run, as it is expected to go."""
    assert trainer.train_dataset is not None
    labels = follow_mixture(trainer).labels.sum(axis=0)
    rows = dict(zip(trainer.train_dataset, labels.tolist(), strict=True))
    lengths = {name: split.tokens.total_tokens / len(split) for name, split in trainer.train_dataset.items()}
    return rows, {name: count * lengths[name] for name, count in rows.items()}


class _Stop(TrainerCallback):
    """Ends a training after some steps."""

    def __init__(self) -> None:
        self.after = 0
        self.times: list[float] = []
        self.trainer: MultiTaskTrainer | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop where it is time, and note how long steps have taken so far."""
        assert self.trainer is not None
        self.times.append(self.trainer.budget.seconds)
        if state.global_step >= self.after:
            control.should_training_stop = True


def _tried(trainer: MultiTaskTrainer, clock: _Stop) -> dict[str, float]:
    """Train a few steps, and put what they took in proportion to what all steps will take."""
    learner = trainer.mixture.learner
    looks = bool(trainer.schedules.schedules) or (learner is not None and bool(learner.rows_of_look))
    planned = trainer.course.total_steps
    clock.trainer, clock.after = trainer, min(_LOOKS if looks else TRIED, planned)
    steps = clock.after
    expected = _encoder_flops(trainer, _tokens_expected(trainer)) / planned
    drawn = _encoder_flops(trainer, _tokens_of(trainer, range(steps))) / steps
    trainer.train()
    # The tokens of the few steps and of all, and what is frozen in them; a method's own passes are in the counts.
    scale = expected / drawn if drawn else 1.0
    taken = np.diff([0.0, *clock.times])[min(_WARM, steps - 1) :]
    # Of equal steps the median: others on the machine make some of them longer. Looks are long ones among short ones.
    timed = float(np.mean(taken) if looks else np.median(taken))
    return {
        "flops_per_step": trainer.budget.record(trainer.state)["flops"] / steps * scale + _sampled(trainer, steps),
        "seconds_per_step": timed * scale,
        "passes_per_step": trainer.budget.backward_passes / steps,
    }


def _encoder_flops(trainer: MultiTaskTrainer, tokens: Sequence[float]) -> float:
    """Count what the encoder does for the tokens of the first steps, with what a schedule freezes in them."""
    groups = FrozenGroups(trainer.model)
    known: dict[frozenset[ParameterGroup], float] = {}
    total = 0.0
    for step, count in enumerate(tokens):
        frozen = frozenset(trainer.schedules.effect(step).frozen) if trainer.schedules else frozenset()
        if frozen not in known:
            groups.apply(frozen)
            batch = {"packed": {"input_ids": _TOKENS}}
            cost = training_flops(trainer.model.encoder, batch, True, trainer.model.private_adapters)
            known[frozen] = cost / len(_TOKENS)
        total += count * known[frozen]
    groups.apply(())
    return total


def _tokens_of(trainer: MultiTaskTrainer, steps: Iterable[int]) -> list[float]:
    collator = trainer.train_collator()
    plans = (trainer.steps.plan(step) for step in steps)
    return [float(collator.lengths(plan.tasks, plan.rows)[plan.encoded].sum()) for plan in plans]


def _tokens_expected(trainer: MultiTaskTrainer) -> list[float]:
    """Return the tokens that are expected of each step of the run, those of a stream once for all of its tasks."""
    assert trainer.train_dataset is not None
    found = follow_mixture(trainer)
    splits = trainer.train_dataset
    lengths = [
        trainer.streams.mean_over_rows({task: splits[task].lengths for task in tasks})
        for tasks in trainer.streams.names.values()
    ]
    tokens = (found.rows * np.array(lengths)).sum(axis=1)
    steps = np.diff([*found.steps.tolist(), trainer.course.total_steps])
    return [float(count) for count in np.repeat(tokens / steps, steps)]


def _sampled(trainer: MultiTaskTrainer, tried: int) -> float:
    """Return the operations of a step that go into samples of conflicts, of which a short try has none."""
    callbacks = trainer.callback_handler.callbacks
    samples = next(item for item in callbacks if isinstance(item, StepCallback)).samples
    assert trainer.train_dataset is not None
    if samples is None or tried >= samples.every or samples.every > trainer.course.total_steps:
        return 0.0
    lengths = sum(split.tokens.total_tokens / len(split) for split in trainer.train_dataset.values())
    batch = {"packed": {"input_ids": _TOKENS}}
    each = training_flops(trainer.model.encoder, batch, True, trainer.model.private_adapters) / len(_TOKENS)
    found: float = samples.rows_per_task * lengths * each / samples.every
    return found
