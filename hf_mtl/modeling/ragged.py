"""Run the encoder over a few padded rectangles and put the features back in row order."""

import inspect
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hf_mtl.batch import Group
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.heads.base import Features, FeatureSource, TokenStates
from hf_mtl.modeling.pooling import pool


def encode(
    encoder: nn.Module,
    groups: Sequence[Group],
    order: Tensor | None,
    pooling: str,
    sources: Sequence[FeatureSource],
) -> dict[FeatureSource, Features]:
    """Encode length groups, each once, and give the features of the rows.

    Args:
        encoder: The backbone.
        groups: Padded ``input_ids``, ``attention_mask`` (None: no padding) and ``token_type_ids`` [b, l] per group.
        order: Row i has encoding ``order[i]`` of the concatenated groups [N]; several rows may share one.
            None: as they come.
        pooling: How hidden states become one vector.
        sources: Which features are wanted.

    Returns:
        Features by source: ``pooled`` and ``pooler`` [N, H], ``tokens`` `TokenStates` of the N rows.
    """
    parts: dict[FeatureSource, list[Features]] = {source: [] for source in sources}
    for group in groups:
        output = encoder(**_inputs(type(encoder), group))
        for source, found in parts.items():
            found.append(_features(source, output, group, pooling))
    return {source: _in_order(found, order) for source, found in parts.items()}


def rectangle(input_ids: Tensor | None, attention_mask: Tensor | None, token_type_ids: Tensor | None) -> Group:
    """Make the one group of a batch that came as a padded rectangle, with padding behind the tokens.

    Args:
        input_ids: Token ids [b, l].
        attention_mask: 1 for real tokens [b, l]; None: all are.
        token_type_ids: Segment ids [b, l]; None: there are none.

    Raises:
        TypeError: If there are no token ids.
        ModelError: If the mask is not one of whole rows of tokens; see `align_left`.
    """
    if input_ids is None:
        raise TypeError("give input_ids, or the groups that the collator makes")
    group: Group = {"input_ids": input_ids}
    if attention_mask is not None:
        group["attention_mask"] = attention_mask
    if token_type_ids is not None:
        group["token_type_ids"] = token_type_ids
    return align_left(group)


def align_left(inputs: Group) -> Group:
    """Move padding that stands before the tokens of a rectangle behind them, where positions do not count it.

    Rectangles with padding on the right stay as they are. Looks at the mask's values, so a GPU waits for it; under
    `torch.export` it does not look, and moves those too, by nothing.

    Args:
        inputs: ``input_ids``, and ``attention_mask`` and ``token_type_ids`` where they are given [b, l].

    Raises:
        ModelError: If the mask has another shape, a row without tokens, or a row with padding between tokens.
    """
    mask = inputs.get("attention_mask")
    if mask is None:
        return inputs
    shape, found = list(inputs["input_ids"].shape), list(mask.shape)
    if shape != found:
        raise ModelError(f"attention_mask has the shape {found}; give one that fits input_ids, {shape}")
    real = mask != 0
    before = F.pad(real, (1, 0))[:, :-1]
    starts = real & ~before  # of runs of real tokens, of which a row has one
    if not torch.compiler.is_exporting():  # a program that is exported has no values to look at
        if bool(starts[:, :1].all() & (starts.sum(dim=1) == 1).all()):
            return inputs
        _check_runs(starts.sum(dim=1))
    places = torch.arange(mask.shape[1], device=mask.device) + starts.int().argmax(dim=1, keepdim=True)
    places = places % mask.shape[1]
    moved: Group = {
        "input_ids": inputs["input_ids"].gather(1, places),
        "attention_mask": mask.gather(1, places),
    }
    if "token_type_ids" in inputs:
        moved["token_type_ids"] = inputs["token_type_ids"].gather(1, places)
    return moved


def _check_runs(runs: Tensor) -> None:
    for rows, words in (((runs == 0), "is 0 everywhere"), ((runs > 1), "has a 0 between two 1")):
        if rows.any():
            first = int(rows.int().argmax())
            remedy = "Only padding before or after the tokens of a row can be left out."
            raise ModelError(Mistake("attention_mask", f"{words} in row {first}, counted from 0", remedy))


def _features(source: FeatureSource, output: dict[str, Tensor], group: Group, pooling: str) -> Features:
    """Return one group's features of one source."""
    if source == "pooler":
        return output["pooler_output"]
    hidden, mask = output["last_hidden_state"], group.get("attention_mask")
    if mask is None:
        mask = torch.ones_like(group["input_ids"])
    return TokenStates(hidden, mask.bool()) if source == "tokens" else pool(hidden, mask, pooling)


def _in_order(parts: Sequence[Features], order: Tensor | None) -> Features:
    """Return the groups' features as one batch, in row order."""
    joined = parts[0] if len(parts) == 1 else _join(parts)
    if order is None:
        return joined
    return joined[order] if isinstance(joined, TokenStates) else joined.index_select(0, order)


def _join(parts: Sequence[Features]) -> Features:
    if not isinstance(parts[0], TokenStates):
        return torch.cat(list(parts))
    width = max(part.mask.shape[1] for part in parts)
    missing = [width - part.mask.shape[1] for part in parts]
    return TokenStates(
        torch.cat([F.pad(part.states, (0, 0, 0, count)) for part, count in zip(parts, missing, strict=True)]),
        torch.cat([F.pad(part.mask, (0, count)) for part, count in zip(parts, missing, strict=True)]),
    )


def _inputs(encoder_class: type[nn.Module], group: Group) -> dict[str, Tensor]:
    inputs = {"input_ids": group["input_ids"], "attention_mask": group.get("attention_mask")}
    if _takes_token_types(encoder_class):  # type: ignore[arg-type]
        inputs["token_type_ids"] = group.get("token_type_ids")
    return {name: value for name, value in inputs.items() if value is not None}


@cache
def _takes_token_types(encoder_class: type[nn.Module]) -> bool:
    return "token_type_ids" in inspect.signature(encoder_class.forward).parameters
