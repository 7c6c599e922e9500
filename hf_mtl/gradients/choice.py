"""The choice of how task gradients are formed and held, by what works for a model and what fits into memory."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch
from hf_mtl.gradients.jacobian_rows import JacobianRows
from hf_mtl.gradients.layers import taped_layers
from hf_mtl.gradients.tape import Tape, Taped, sights
from hf_mtl.gradients.unsupported import Unsupported
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.modeling.memory import free_memory
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

Hold = Literal["float32", "bfloat16", "recompute"]

MEMORY_SHARE = 0.25
"""Rows may take this much of the memory that is free before the first step."""


def shared_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that all tasks train."""
    return [parameter for _, parameter in split_parameters(model)[0] if parameter.requires_grad]


def lookup_tables(parameters: Sequence[nn.Parameter], encoder: nn.Module) -> list[int]:
    """Return the parameters that are embeddings and nothing else, as indices."""
    owners: dict[int, list[bool]] = {}
    for module in encoder.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(type(module) is nn.Embedding)
    return [index for index, parameter in enumerate(parameters) if all(owners[id(parameter)])]


def choose_hold(tasks: int, columns: int, device: torch.device, can_recompute: bool) -> Hold:
    """Tell how to hold T rows of P columns: the first of float32, bfloat16, and not at all that there is room for.

    Args:
        tasks: Number of tasks T.
        columns: Number of columns P.
        device: Where they will be.
        can_recompute: Whether weight gradients can be formed twice.
    """
    room = MEMORY_SHARE * free_memory(device)
    if 4 * tasks * columns <= room:
        return "float32"
    return "recompute" if can_recompute and 2 * tasks * columns > room else "bfloat16"


def why_not_segments(model: MultiTaskModel, layers: Sequence[Taped], batch: Batch) -> str | None:
    """Compare task gradients from one tape with plain autograd, on a few rows of two tasks or more.

    The model is in eval mode and in its parameters' dtype, and draws from no generator.

    Args:
        model: A `MultiTaskModel`, without gradients.
        layers: The layers of its encoder.
        batch: A collated batch of rows that are cut by task.

    Returns:
        What is different; None: nothing.
    """
    with in_passing(model, plain=True):
        try:
            return _difference(model, layers, batch)
        except Unsupported as reason:
            return str(reason)
        except Exception as error:  # whatever a layer may do that a tape does not know: autograd will do
            return f"a tape of it fails ({type(error).__name__}: {error})"
        finally:
            model.zero_grad()


def _difference(model: MultiTaskModel, layers: Sequence[Taped], batch: Batch) -> str | None:
    parameters = shared_parameters(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tasks = [task for task, _, _ in batch["packed"]["cut"]]
    rows = JacobianRows(
        parameters, lookup_tables(parameters, model.encoder), max(tasks) + 1, torch.float32, Processes()
    )
    tape = Tape(model.encoder, layers)
    with tape.recording(sights(batch["packed"], model.packs)):
        _total(model(**batch)).backward()
        rows.collect(tape.layers)
    astray = [names[id(parameter)] for parameter in parameters if parameter.grad is not None]
    if astray:
        return f"'{astray[0]}' is used outside its layer"
    rows.close()
    losses = model(**batch).row_losses
    segments = list(losses.values())
    for task, loss in zip(tasks, segments, strict=True):
        expected = torch.autograd.grad(loss.sum(), parameters, retain_graph=True, allow_unused=True)
        whole = float(torch.stack([one.norm() for one in expected if one is not None]).norm())
        found = dict(rows.combine(torch.eye(rows.tasks)[task].to(rows.device)))
        for parameter, one in zip(parameters, expected, strict=True):
            if not _agree(found.get(parameter), one, whole):
                return f"the gradient of '{names[id(parameter)]}' differs from autograd's"
    return None


def _agree(found: Tensor | None, expected: Tensor | None, whole: float) -> bool:
    if found is None or expected is None:
        return (found is None or not found.any()) and (expected is None or not expected.any())
    # Gradients that cancel, such as a key bias', are rounding alone: they are measured against all of the gradient.
    tolerance = max(1e-3, 8 * torch.finfo(expected.dtype).eps)
    return float((found - expected).norm()) <= tolerance * (float(expected.norm()) + 1e-3 * whole)


def _total(outputs: Any) -> Tensor:
    return torch.stack([loss.sum() for loss in outputs.row_losses.values()]).sum()


def find_layers(model: MultiTaskModel) -> tuple[list[Taped], str | None]:
    """Return the layers of a model's encoder, or why they cannot be taped."""
    encoder = model.encoder
    if any(hasattr(module, "_orig_mod") for module in model.modules()) or vars(model).get("_compiled_call_impl"):
        return [], "the model is compiled"
    for module in encoder.modules():
        checkpointing = vars(module).get("_gradient_checkpointing_func")
        inside = getattr(module, "gradient_checkpointing", False) and checkpointing is not None
        if inside and getattr(checkpointing, "keywords", {}).get("use_reentrant", True):
            return [], "activation checkpointing with use_reentrant=True runs layers where no tape is"
    try:
        return taped_layers(encoder), None
    except Unsupported as reason:
        return [], str(reason)
