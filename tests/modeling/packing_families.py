"""Tiny random encoders of transformers' families, and which of them take packed rows."""

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel

PACK = (
    *("bert", "roberta", "xlm-roberta", "camembert", "electra", "albert", "distilbert", "modernbert", "nomic_bert"),
    *("eurobert", "ernie", "gte", "jina_embeddings_v3", "esm", "data2vec-text", "roberta-prelayernorm"),
    *("llama", "qwen2", "qwen3", "gemma", "gemma3_text", "mistral", "phi", "gpt2", "opt", "gpt_neox"),
)
"""Families whose rows do not see each other when they stand end to end, decoders too."""

REFUSED = {
    "deberta": "states of packed rows differ",
    "deberta-v2": "states of packed rows differ",
    "mpnet": "states of packed rows differ",
    "big_bird": "states of packed rows differ",
    "xlm": "states of packed rows differ",
    "roformer": "states of packed rows differ",
    "rembert": "states of packed rows differ",
    "mobilebert": "states of packed rows differ",
    "megatron-bert": "states of packed rows differ",
    "bloom": "states of packed rows differ",
    "convbert": "states of packed rows differ",
    "flaubert": "states of packed rows differ",
    "luke": "states of packed rows differ",
    "gemma2": "know nothing of softcap",
    "t5": "fails at rows alone",
    "canine": "get_input_embeddings",
}
"""Families that would be wrong, most of them without a word, and a part of what is said of each."""

_SIZES = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
    **{"vocab_size": 60, "max_position_embeddings": 64, "pad_token_id": 0, "embedding_size": 32},
    **{"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "n_embd": 32, "n_layer": 2, "n_head": 4},
    **{
        "n_positions": 64,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 8,
        "local_attention": 16,
        "entity_vocab_size": 8,
    },
}
WINDOW = 8
"""Of the families that have local attention, in tokens."""


def make_config(family: str, **options: object) -> PreTrainedConfig:
    """Return a config of a few small layers; skip the test where this transformers has no such family."""
    if family not in CONFIG_MAPPING:
        pytest.skip(f"this transformers has no '{family}'")
    return CONFIG_MAPPING[family](**{**_SIZES, **options})


def make_encoder(family: str, **options: object) -> PreTrainedModel:
    """Build a seeded encoder in training mode."""
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModel.from_config(make_config(family, **options))
    return found.train()
