"""Architectures of transformers with the same encoder as another one, and another head on it."""

import copy
from collections.abc import Mapping

from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedConfig

_POSITIONS = "embeddings.position_embeddings.weight"
# Families whose encoder is ELECTRA's, whose classification head has a GELU where theirs has a tanh. True: positions
# are counted from the one after the padding token's id.
_AS_ELECTRA = {"bert": False, "camembert": True, "roberta": True, "xlm-roberta": True}


def kin_of(config: PreTrainedConfig) -> PreTrainedConfig | None:
    """Give the config of the same encoder in another architecture; None: there is none.

    Args:
        config: The backbone's config.
    """
    if config.model_type not in _AS_ELECTRA or getattr(config, "is_decoder", False):
        return None
    fields = {key: value for key, value in copy.deepcopy(config.to_dict()).items() if key not in ("model_type",)}
    first = _first_position(config)
    fields |= {"embedding_size": config.hidden_size, "max_position_embeddings": _positions(config) - first}
    if first:
        fields["pad_token_id"] = config.pad_token_id
    return CONFIG_MAPPING["electra"](**fields)


def weights_of_kin(weights: Mapping[str, Tensor], config: PreTrainedConfig) -> dict[str, Tensor]:
    """Return an encoder's weights as those of `kin_of`: positions are counted from 0.

    Args:
        weights: The encoder's weights.
        config: The backbone's config.
    """
    first = _first_position(config)
    return {key: value[first:] if key == _POSITIONS else value for key, value in weights.items()}


def _first_position(config: PreTrainedConfig) -> int:
    return int(config.pad_token_id) + 1 if _AS_ELECTRA[config.model_type] else 0


def _positions(config: PreTrainedConfig) -> int:
    return int(config.max_position_embeddings)
