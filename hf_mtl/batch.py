"""Contents of a micro-batch, from the data to the step that trains on it: plain dictionaries, with types."""

from typing import Any, Literal, NotRequired, TypedDict, TypeVar, cast

import torch
from torch import Tensor

Cut = list[tuple[int, int, int]]
"""Which of some rows, or of their tokens, are whose: task, the first, and the one after the last."""

Arrangement = Literal["mixed", "segments", "split"]
"""Whose rows share an encoding or a rectangle: any, and texts of several tasks are encoded once; any, but each row is
of one task; those of one task."""

EncoderLayout = Literal["auto", "packed", "groups", "padded"]
"""How the rows of a micro-batch reach the encoder; ``auto``: packed where it packs, else groups."""

Segments = dict[str, tuple[int, int]]
"""First sequence, and the one after the last, of each task of a batch; a row is one sequence, but for `Sites`."""

T = TypeVar("T")


class Rectangles(TypedDict):
    """Where rows that stand end to end are in padded rectangles, which stand one after the other too.

    Keys:
        shapes: Rows and tokens of each rectangle, (b, l); P is the sum of their products.
        source: The token that each place holds, int64 [P]; a padding place holds its row's first. None: places are
            tokens, one by one.
        place: The place of each token, int64 [N]; None with ``source``.
        masks: For each rectangle, True for real tokens [b, l]; None where there is no padding.
        pad_id: Token id of padding.
        cuts: For each rectangle, whose its rows are; left out where a row may be of several tasks.
    """

    shapes: list[tuple[int, int]]
    source: Tensor | None
    place: Tensor | None
    masks: list[Tensor | None]
    pad_id: int
    cuts: NotRequired[list[Cut]]


class Packed(TypedDict):
    """Rows of a micro-batch, end to end.

    Keys:
        input_ids: Token ids [N].
        token_type_ids: Segment ids [N]; left out where the tokenizer makes none.
        offsets: Where each row starts, and the end, int64 [R + 1].
        lengths: Tokens of each row, on the host, so that nobody has to wait for a device to know a shape.
        rectangles: The rows as padded rectangles: for attention alone, or for an encoder that knows no other rows.
        cut: Whose the rows are, which are then ordered by task; left out where a row may be of several.
    """

    input_ids: Tensor
    token_type_ids: NotRequired[Tensor]
    offsets: Tensor
    lengths: list[int]
    rectangles: Rectangles
    cut: NotRequired[Cut]


class Sites(TypedDict):
    """Where the head of a task looks whose rows are several sequences, or have several outputs.

    Keys:
        tokens: Token of each site, counted from the first token of the task's sequences, int64 [U]; None: a site is a
            sequence, pooled.
        sequences: Sequence of each site, counted from the task's first, int64 [U].
        places: Place of each site in the outputs of the task's rows, flattened but for the last axis, int64 [U].
        shape: That of these outputs without the last axis: n, and the places of a row.
    """

    tokens: Tensor | None
    sequences: Tensor
    places: Tensor
    shape: list[int]


class NoiseKeys(TypedDict):
    """Keys of the randomness of heads that sample.

    Keys:
        rows: Of each sequence in its step, int64 [B]; a row is one, but for `Sites`.
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
        masses: Sum of the masses of each task's rows, M_t: L_t is the sum of the row losses, times the rows' weights,
            over it.
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
        packed: The sequences to encode, end to end. A row is one of them, but for ``sites``.
        order: Sequence i is sequence ``order[i]`` of these [B]; left out where each is encoded for itself.
        segments: The sequences of each task that has any.
        sites: Of each task whose rows are several sequences, or have several outputs; left out where there is none.
        labels: Labels of the rows of each task that has them.
        row_weights: What the losses of rows are multiplied by, of each task that has a column of weights.
        noise: Keys of the heads' randomness, in training.
        plan: What the micro-batch is told of its step, in training; no input of the model.
    """

    packed: Packed
    order: NotRequired[Tensor]
    segments: Segments
    sites: NotRequired[dict[str, Sites]]
    labels: dict[str, Tensor]
    row_weights: NotRequired[dict[str, Tensor]]
    noise: NotRequired[NoiseKeys]
    plan: NotRequired[StepFacts]


def divisor(mass: float) -> float:
    """Return what a sum of row losses is divided by.

    Rows whose masses sum to 0 have losses of 0: over 1 their mean is 0, over 0 it would be nan.
    """
    return mass or 1.0


def no_sites(sites: Sites) -> Sites:
    """Return sites of the same kind, of no rows."""
    tokens = None if sites["tokens"] is None else sites["tokens"][:0]
    return {
        "tokens": tokens,
        "sequences": sites["sequences"][:0],
        "places": sites["places"][:0],
        "shape": [0, *sites["shape"][1:]],
    }


def model_inputs(batch: Batch) -> Batch:
    """Leave out what the model does not take."""
    return cast(Batch, {key: value for key, value in batch.items() if key != "plan"})


def to_device(value: T, device: torch.device) -> T:
    """Move the tensors of a batch from the host to a device, without waiting for either."""
    moved: Any = value
    if isinstance(value, Tensor):
        # What was pinned is copied while the host goes on; what was not is copied away before the call returns.
        moved = value.to(device, non_blocking=True)
    elif isinstance(value, dict):
        moved = {key: to_device(item, device) for key, item in value.items()}
    elif isinstance(value, list):
        moved = [to_device(item, device) for item in value]
    return cast(T, moved)
