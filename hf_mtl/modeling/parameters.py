"""The shared parameters and those of heads, and the operations that using them costs."""

from collections.abc import Iterable, Mapping
from itertools import dropwhile, takewhile
from typing import Any

from torch import nn

from hf_mtl.modeling.private_adapters import PrivateAdapters

NamedParameters = list[tuple[str, nn.Parameter]]


def split_parameters(model: nn.Module) -> tuple[NamedParameters, NamedParameters]:
    """Return the parameters that all tasks share, those of the encoder, and those of single tasks.

    These are the heads', and those of adapters that tasks have for themselves.

    Args:
        model: A `MultiTaskModel`, or a wrapper that gives access to its ``heads``, such as peft's.
    """
    parts: list[nn.Module | None] = [model.heads, model.private_adapters]  # type: ignore[list-item]
    # By their ids: a wrapper such as peft's gives them other names.
    in_heads = {id(parameter) for part in parts if part is not None for parameter in part.parameters()}
    named = list(model.named_parameters())
    return (
        [(name, parameter) for name, parameter in named if id(parameter) not in in_heads],
        [(name, parameter) for name, parameter in named if id(parameter) in in_heads],
    )


def training_flops(
    encoder: nn.Module, inputs: Mapping[str, Any], backward: bool, private: PrivateAdapters | None = None
) -> int:
    """Count the floating point operations of one batch, over its real tokens.

    2 for each encoder parameter forward; where it is trained on, 2 for each that is trained, and 2 for each through
    which a gradient passes on its way down: from the lowest that is trained, in the order of the encoder's
    parameters. Embeddings are looked up, not multiplied, so they do not count.

    Args:
        encoder: The backbone.
        inputs: A batch in either form that the model takes.
        backward: Whether the batch is trained on.
        private: The adapters that tasks have for themselves, of which a token goes through one; None: they have none.
    """
    tokens = _real_tokens(inputs)
    tables = {id(module.weight) for module in encoder.modules() if isinstance(module, nn.Embedding)}

    def multiplied(parameters: Iterable[nn.Parameter]) -> int:
        return sum(parameter.numel() for parameter in parameters if id(parameter) not in tables)

    each = list(encoder.parameters())
    own = [] if private is None else private.parameters_of(private.tasks[0])
    if not backward:
        return 2 * tokens * multiplied([*each, *own])
    trained = [parameter for parameter in [*each, *own] if parameter.requires_grad]
    passed = [*dropwhile(lambda parameter: not parameter.requires_grad, each)]
    if private is not None:
        adapted = {id(parameter) for parameter in private.adapted_parameters(encoder)}
        above = [*dropwhile(lambda parameter: id(parameter) not in adapted, each)]
        lowest = [*takewhile(lambda parameter: id(parameter) in adapted, above)]
        passed = max(passed, above[len(lowest) :], key=len)
    return 2 * tokens * (multiplied([*each, *own]) + multiplied(trained) + multiplied([*passed, *own]))


def _real_tokens(inputs: Mapping[str, Any]) -> int:
    if "packed" in inputs:
        return len(inputs["packed"]["input_ids"])
    mask = inputs.get("attention_mask")
    if mask is not None:
        return int(mask.sum())
    return int(inputs["input_ids"].numel()) if "input_ids" in inputs else 0
