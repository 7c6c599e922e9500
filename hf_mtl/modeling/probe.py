"""A new encoder is tried on a few tokens: what it cannot do shows before anything is trained."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.heads.native import has_native_head
from hf_mtl.modeling.in_passing import generators_put_back, in_passing, parts_put_back
from hf_mtl.modeling.limits import longest_input, positions
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_KEY = "model.backbone"
_REMEDY = "Give an encoder of text that needs nothing but token ids, such as bert, roberta, distilbert or modernbert"
_FEW = 8  # tokens
_NOTICEABLE = 0.01  # of the largest state; approximate attention differs by less


def try_encoder(encoder: PreTrainedModel, asked: Mapping[str, int]) -> None:
    """Refuse an encoder that does not make a state of each token, such as one of images.

    Limits beyond what the encoder was made for are tried too where no table tells: relative positions may go on.
    Families with a native head are known to work.

    Args:
        encoder: The encoder.
        asked: Limits of rows in tokens, by recipe key.

    Raises:
        ModelError: If it fails, or gives something else.
    """
    if has_native_head(encoder.config) or any(weight.is_meta for weight in encoder.parameters()):
        return
    made_for = longest_input(encoder)
    few = _FEW if made_for is None else min(_FEW, made_for)
    if problem := _fails(encoder, few):
        raise ModelError(Mistake(_KEY, f"'{encoder.config.model_type}' cannot encode text: {problem}", _REMEDY))
    if few == _FEW and _reads_padding(encoder):
        logger.warning(
            f"{_KEY}: '{encoder.config.model_type}' does not leave padding out: what it makes of a row depends on "
            "the length of the rows beside it, and so on the batch size and the number of processes."
        )
    if made_for is None or positions(encoder) is not None:
        return
    for key, length in asked.items():
        if length > made_for and (problem := _fails(encoder, length)):
            found = f"is {length:,}, and the backbone takes no row of so many tokens: {problem}"
            raise ModelError(Mistake(key, found, f"Allowed: at most {made_for}"))


def _fails(encoder: PreTrainedModel, length: int) -> str:
    """Try an encoder on a row, and return what is wrong with the states that it makes; empty if nothing is."""
    try:
        with _tried(encoder):
            states = _states(encoder, length, length)
    except Exception as error:  # each architecture wants its own inputs, and fails in its own way
        return f"{type(error).__name__}: {one_line(error)}"
    wanted = [1, length, encoder.config.hidden_size]
    return "" if list(states.shape) == wanted else f"its states have the shape {list(states.shape)}, not {wanted}"


def _reads_padding(encoder: PreTrainedModel) -> bool:
    """Tell whether an encoder makes something else of a row as soon as there is padding behind it."""
    length = _FEW // 2
    with _tried(encoder):
        alone, padded = _states(encoder, length, length), _states(encoder, length, _FEW)[:, :length]
    return bool((alone - padded).abs().max() > _NOTICEABLE * alone.abs().max())


def _states(encoder: PreTrainedModel, length: int, padded: int) -> Tensor:
    """Return the states of a row of some tokens, with padding up to a length."""
    ids = torch.full((1, padded), len(encoder.get_input_embeddings().weight) // 2, device=encoder.device)
    mask = torch.ones_like(ids)
    mask[:, length:] = 0
    states: Tensor = encoder(input_ids=ids, attention_mask=mask)["last_hidden_state"]
    return states


@contextmanager
def _tried(encoder: PreTrainedModel) -> Iterator[None]:
    """Leave no trace of a try, not even in random numbers: some encoders draw in eval mode too."""
    with in_passing(encoder), parts_put_back(encoder), torch.no_grad(), generators_put_back(encoder.device):
        yield
