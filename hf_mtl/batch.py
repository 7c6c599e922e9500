"""Contents of a micro-batch, from the data to the step that trains on it: plain dictionaries, with types."""

from typing import Any, NotRequired, TypedDict, TypeVar, cast

import torch
from torch import Tensor

Cut = list[tuple[int, int, int]]
"""Rows of each task in a length group: task, first row, and the row after the last."""

Segments = dict[str, tuple[int, int]]
"""First row, and the row after the last, of each task of a batch."""

T = TypeVar("T")


class Group(TypedDict):
    """A padded rectangle of rows of similar length.

    Keys:
        input_ids: Token ids [b, l].
        attention_mask: 1 for real tokens [b, l]; left out where all are.
        token_type_ids: Segment ids [b, l]; left out where the tokenizer makes none.
        cut: Whose the rows are; left out of groups whose tasks are mixed.
    """

    input_ids: Tensor
    attention_mask: NotRequired[Tensor]
    token_type_ids: NotRequired[Tensor]
    cut: NotRequired[Cut]


class NoiseKeys(TypedDict):
    """Keys of the randomness of heads that sample.

    Keys:
        rows: Of each row in its step, int64 [B].
        step: Of the step.
    """

    rows: Tensor
    step: int


class StepFacts(TypedDict):
    """Facts of the optimizer step of a micro-batch; under ``plan`` in the batch.

    Plain numbers, worked out from the plan alone: every process knows them without asking the others. Lists have
    one value per task, in task order, and all but ``own_masses`` are of the whole step, on every process the same.

    Keys:
        step: The optimizer step, from 0.
        counts: Rows of each task, n_t: how much a task counts (its exposure) follows them.
        nominal: What n_t would be if a schedule had dropped no rows.
        coefficients: Coefficients gamma_t of the schedules.
        masses: Sum of the masses of each task's rows, M_t: L_t is the sum of the row losses over it.
        own_masses: The same of the rows of this micro-batch alone.
    """

    step: int
    counts: list[int]
    nominal: list[int]
    coefficients: list[float]
    masses: list[float]
    own_masses: list[float]


class Batch(TypedDict):
    """A batch: `hf_mtl.data.collate.Collator` makes it, and `MultiTaskModel.forward` takes it.

    Keys:
        groups: Padded rectangles.
        order: Row i has encoding ``order[i]`` of the groups laid end to end [B].
        segments: The rows of each task that has any.
        labels: Labels of each task that has them.
        noise: Keys of the heads' randomness, in training.
        plan: What the micro-batch is told of its step, in training; no input of the model.
    """

    groups: list[Group]
    order: Tensor
    segments: Segments
    labels: dict[str, Tensor]
    noise: NotRequired[NoiseKeys]
    plan: NotRequired[StepFacts]


def divisor(mass: float) -> float:
    """Return what a sum of row losses is divided by.

    Rows whose masses sum to 0 have losses of 0: over 1 their mean is 0, over 0 it would be nan.
    """
    return mass or 1.0


def model_inputs(batch: Batch) -> Batch:
    """Leave out what the model does not take."""
    return cast(Batch, {key: value for key, value in batch.items() if key != "plan"})


def to_device(value: T, device: torch.device) -> T:
    """Move the tensors of a batch."""
    moved: Any = value
    if isinstance(value, Tensor):
        moved = value.to(device)
    elif isinstance(value, dict):
        moved = {key: to_device(item, device) for key, item in value.items()}
    elif isinstance(value, list):
        moved = [to_device(item, device) for item in value]
    return cast(T, moved)
