"""A new encoder is tried on a few tokens: what it cannot do shows before anything is trained."""

import torch
from transformers import PreTrainedModel

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.heads.native import has_native_head
from hf_mtl.modeling.limits import longest_input, positions

_KEY = "model.backbone"
_REMEDY = "Give an encoder of text that needs nothing but token ids, such as bert, roberta, distilbert or modernbert"
_FEW = 8  # tokens


def try_encoder(encoder: PreTrainedModel, max_length: int | None) -> None:
    """Refuse an encoder that does not make a state of each token, such as one of images.

    A limit beyond what the encoder was made for is tried too where no table tells: relative positions may go on.
    Families with a native head are known to work.

    Raises:
        ModelError: If it fails, or gives something else.
    """
    if has_native_head(encoder.config) or any(weight.is_meta for weight in encoder.parameters()):
        return
    made_for = longest_input(encoder)
    few = _FEW if made_for is None else min(_FEW, made_for)
    if problem := _fails(encoder, few):
        raise ModelError(Mistake(_KEY, f"'{encoder.config.model_type}' cannot encode text: {problem}", _REMEDY))
    if max_length is None or made_for is None or max_length <= made_for or positions(encoder) is not None:
        return
    if problem := _fails(encoder, max_length):
        found = f"is {max_length:,}, and the backbone takes no row of so many tokens: {problem}"
        raise ModelError(Mistake("model.max_length", found, f"Allowed: at most {made_for}"))


def _fails(encoder: PreTrainedModel, length: int) -> str:
    """What is wrong with what an encoder makes of a row; empty if nothing is."""
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        table = len(encoder.get_input_embeddings().weight)
        ids = torch.full((1, length), table // 2, device=encoder.device)
        with torch.no_grad(), torch.random.fork_rng():  # some draw even so, and a run's numbers must not move
            states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids))["last_hidden_state"]
    except Exception as error:  # each architecture wants its own inputs, and fails in its own way
        return f"{type(error).__name__}: {one_line(error)}"
    finally:
        for module, training in modes:
            module.training = training
    wanted = [1, length, encoder.config.hidden_size]
    return "" if list(states.shape) == wanted else f"its states have the shape {list(states.shape)}, not {wanted}"
