"""What a merged model costs beside an ensemble: the single-task models as they are, each with its own encoder."""

import numpy as np
import torch
from torch import nn

from hf_mtl.experiments.merging.parts import Part, Parts
from hf_mtl.modeling.parameters import training_flops

Price = dict[str, dict[str, float]]


def price(parts: Parts, merged: nn.Module) -> Price:
    """Compare the parameters that are kept, and the operations that it takes to answer all tasks for one row.

    The row is as long as those of the tasks are on average. The merged model encodes it once, and the ensemble once
    for each task. Operations are those of the encoders, see `training_flops`.

    Args:
        parts: The runs.
        merged: The merged model.

    Returns:
        ``{"merged": {"parameters", "flops_per_row"}, "ensemble": the same}``.
    """
    tokens = float(np.mean([_tokens(part) for part in parts.parts]))
    each = [_flops_per_token(part) * tokens for part in parts.parts]
    kept = sum(parameter.numel() for parameter in merged.parameters())
    return {
        "merged": {"parameters": kept, "flops_per_row": max(each)},
        "ensemble": {"parameters": sum(part.parameters for part in parts.parts), "flops_per_row": sum(each)},
    }


def _tokens(part: Part) -> float:
    """Count the tokens of a task's mean row: of its test rows, or else of what there is."""
    rows = part.rows.get("test") or part.rows.get("validation")
    return 0.0 if rows is None else float(rows[part.task].lengths.mean())


def _flops_per_token(part: Part) -> int:
    return training_flops(part.model.encoder, {"input_ids": torch.zeros(1, 1)}, backward=False)
