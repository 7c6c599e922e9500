"""Hidden states of every layer of an encoder, for the rows of a batch, however these reach it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch, Packed
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.model import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.rectangles import to_tokens
from hf_mtl.modeling.rows_by_task import RowsByTask, packed_by_task


@torch.no_grad()
def layer_states(model: MultiTaskModel, batch: Batch) -> tuple[list[Encoded], MultiTaskOutput]:
    """Encode a batch of one task, and keep what each layer makes of it.

    Args:
        model: The model, in eval mode.
        batch: Rows of one task of the model, on its device.

    Returns:
        The states of the sequences' tokens after the embeddings and after each layer, and what the model predicts.

    Raises:
        ModelError: If the encoder gives no states of its layers, or they are not those of its tokens.
    """
    packed, private = batch["packed"], model.private_adapters
    if private is not None:  # rows that the model would pack anew are packed here, to know where they stand
        rows = RowsByTask.of(batch["segments"], len(packed["lengths"]), packed["input_ids"].device)
        packed = packed_by_task(packed, None, rows)
    with _kept(model.encoder) as calls:
        output: MultiTaskOutput = model(packed=packed, segments=batch["segments"], sites=batch.get("sites"))
    return _by_layer(calls, packed, model), output


@torch.no_grad()
def states_alone(model: MultiTaskModel, batch: Batch) -> list[Encoded]:
    """Encode a batch whose task the model need not have; adapters that tasks have for themselves take no part.

    Args:
        model: The model, in eval mode.
        batch: Rows of any task, on its device.

    Raises:
        ModelError: As `layer_states`.
    """
    with _kept(model.encoder) as calls:
        model._features.of_packed(model.encoder, batch["packed"], None)
    return _by_layer(calls, batch["packed"], model)


@contextmanager
def _kept(encoder: nn.Module) -> Iterator[list[tuple[Tensor, ...]]]:
    """Have an encoder give the states of its layers, and keep those of each of its calls."""
    calls: list[tuple[Tensor, ...]] = []

    def ask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, "output_hidden_states": True}

    def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        calls.append(tuple(output.get("hidden_states") or ()))

    hooks = [encoder.register_forward_pre_hook(ask, with_kwargs=True), encoder.register_forward_hook(keep)]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _by_layer(calls: list[tuple[Tensor, ...]], packed: Packed, model: MultiTaskModel) -> list[Encoded]:
    """Put the states of all calls end to end, layer by layer."""
    counts = {len(call) for call in calls}
    if len(counts) != 1 or 0 in counts:
        raise _no_states(model)
    return [_of_layer([call[layer] for call in calls], packed, model) for layer in range(counts.pop())]


def _of_layer(states: list[Tensor], packed: Packed, model: MultiTaskModel) -> Encoded:
    shapes = [(1, sum(packed["lengths"]))] if model.packs else packed["rectangles"]["shapes"]
    if [tuple(item.shape[:2]) for item in states] != shapes or any(item.ndim != 3 for item in states):
        raise _no_states(model)
    tokens = torch.cat([item.flatten(0, 1) for item in states])
    if not model.packs:
        tokens = to_tokens(tokens, packed["rectangles"])
    return Encoded(tokens, packed["offsets"], counts=packed["lengths"])


def _no_states(model: MultiTaskModel) -> ModelError:
    family = model.encoder.config.model_type
    problem = f"'{family}' gives no state of each token after each layer"
    return ModelError(Mistake("model.backbone", problem, "Nothing can be said of its layers"))
