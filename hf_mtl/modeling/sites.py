"""From the states of a task's sequences to the features that its head sees, and from its outputs back to rows."""

from collections.abc import Mapping
from math import prod
from typing import cast

import torch
from torch import Tensor

from hf_mtl.batch import Sites
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.heads.base import Features, Penalty
from hf_mtl.tasks import Task
from hf_mtl.tasks.layout import OutputsPer


def sites_everywhere(features: Features, per: OutputsPer) -> Sites:
    """Look at every token of rows that came without sites, or at every sequence.

    A row is one sequence then, and the places of its tokens are those in it, without its padding.

    Args:
        features: `Encoded` where an output is made for tokens, else vectors [n, H].
        per: What an output is made for.
    """
    if per == "sequence":
        count = features.shape[0]  # not len(), which torch.export would take for a constant
        rows = torch.arange(count, device=features.device)
        return {"tokens": None, "sequences": rows, "places": rows, "shape": [count, 1]}
    states = cast(Encoded, features)
    tokens, row = torch.arange(len(states.states), device=states.states.device), states.row_of_token
    longest = int(states.lengths.max()) if len(states) else 1
    shape = [len(states), longest] if per == "token" else [len(states), 1, longest]
    return {
        "tokens": tokens,
        "sequences": row,
        "places": row * longest + tokens - states.offsets[row],
        "shape": shape,
    }


def sites_in_rectangle(mask: Tensor, per: OutputsPer) -> Sites | None:
    """Look at every token of a padded rectangle; outputs are in the columns of their tokens, as its labels are.

    Args:
        mask: 1 for real tokens [B, L].
        per: What an output is made for.

    Returns:
        The sites; None where no output is made for tokens.
    """
    if per not in ("token", "window"):
        return None
    rows, length = mask.shape
    places = mask.flatten().nonzero()[:, 0]  # row by row, as an encoder's states are when the padding is dropped
    return {
        "tokens": torch.arange(len(places), device=places.device),
        "sequences": places // length,
        "places": places,
        "shape": [rows, length] if per == "token" else [rows, 1, length],
    }


def flat_choices(inputs: Mapping[str, Tensor | None]) -> tuple[dict[str, Tensor | None], Sites]:
    """Make a rectangle of sequences of one of rows with choices, as `AutoModelForMultipleChoice` takes it.

    Args:
        inputs: ``input_ids`` [B, S, L], and ``attention_mask`` and others of that shape, or None. A choice whose mask
            is 0 everywhere is none of its row's.

    Returns:
        The same of the sequences, and where they belong.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    assert ids is not None
    flat = {name: None if value is None else value.flatten(0, 1) for name, value in inputs.items()}
    places = torch.arange(ids.shape[0] * ids.shape[1], device=ids.device)
    if mask is not None and not torch.compiler.is_exporting():  # which knows no values
        places = mask.flatten(0, 1).any(dim=1).nonzero()[:, 0]
        flat = {name: None if value is None else value[places] for name, value in flat.items()}
    numbered = torch.arange(len(places), device=ids.device)
    return flat, {"tokens": None, "sequences": numbered, "places": places, "shape": [ids.shape[0], ids.shape[1]]}


def at_sites(features: Features, sites: Sites) -> Tensor:
    """Return the vectors that a head looks at, [U, H].

    Args:
        features: Those of the task's sequences: `Encoded`, or vectors [S, H] where a site is a sequence.
        sites: The sites.
    """
    if sites["tokens"] is None:
        return cast(Tensor, features)
    return cast(Encoded, features).states.index_select(0, sites["tokens"])


def numbers(sites: Sites) -> Tensor | None:
    """Return each site's number in its sequence, whatever else the batch holds, int64 [U]; None: they are these."""
    return None if sites["tokens"] is None else sites["places"] % sites["shape"][-1]


def in_place(values: Tensor, sites: Sites, absent: float) -> Tensor:
    """Put what is at the sites [U, C] where it belongs among the rows, float32 [n, ..., C].

    Args:
        values: Numbers of each site.
        sites: The sites.
        absent: What stands where there is no site.
    """
    # In float32, whose range holds what stands for nothing in a softmax.
    places = torch.full((prod(sites["shape"]), values.shape[1]), absent, device=values.device, dtype=torch.float32)
    return places.index_copy(0, sites["places"], values.float()).view(*sites["shape"], values.shape[1])


def penalties_of_rows(
    penalties: Mapping[str, Penalty], sites: Sites, task: Task, labels: Tensor | None
) -> dict[str, Penalty]:
    """Give each row the mean of the penalties at its sites, times its mass, so that it goes with the row's loss.

    Args:
        penalties: By name, a value for each site [U].
        sites: The sites.
        task: The task.
        labels: The labels of its rows; None: each row counts 1.
    """
    rows = sites["shape"][0]
    row_of = sites["places"] // max(1, prod(sites["shape"][1:]))
    counts = torch.zeros(rows, device=row_of.device).index_add(
        0, row_of, torch.ones_like(row_of, dtype=torch.float32)
    )
    masses = None if labels is None else task.masses(labels)
    share = (1.0 if masses is None else masses.float()) / counts.clamp(min=1)
    return {
        name: Penalty(
            torch.zeros_like(counts).index_add(0, row_of, penalty.values.float()) * share, penalty.coefficient
        )
        for name, penalty in penalties.items()
    }
