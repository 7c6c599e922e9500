from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.limits import longest_input, positions, token_types
from tests import tiny

from .families import FAMILIES, OTHERS, make_model

# Families that count positions in their own ways.
_COUNTED: dict[str, tuple[dict[str, Any], int]] = {
    "gpt2": ({"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 20}, 20),
    "opt": ({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 8}, 20),
    "yoso": ({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}, 20),
    "ibert": ({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}, 19),
    "openai-gpt": ({"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 20}, 20),
    "clip_text_model": ({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}, 20),
}


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_row_of_every_position_goes_through_and_one_more_does_not(family: str) -> None:
    model = make_model(family, head="linear").eval()
    most = positions(model)
    ids = torch.full((1, (most or 600) + 1), 7)
    task = next(iter(model.tasks))
    with torch.no_grad():
        if most is None:
            model(input_ids=ids, task=task)
        else:
            model(input_ids=ids[:, 1:], task=task)
            with pytest.raises((RuntimeError, IndexError)):
                model(input_ids=ids, task=task)


@pytest.mark.parametrize("family", _COUNTED)
def test_positions_of_families_that_begin_elsewhere(family: str) -> None:
    fields, most = _COUNTED[family]
    sizes = {} if "n_positions" in fields else {"max_position_embeddings": 20, "intermediate_size": 8}
    config = CONFIG_MAPPING[family](**{"vocab_size": 30, "pad_token_id": 0, **sizes, **fields})
    assert positions(AutoModel.from_config(config)) == most


def test_an_encoder_without_a_table_takes_what_its_config_declares() -> None:
    encoder = make_model("llama").encoder
    assert positions(encoder) is None
    assert longest_input(encoder) == 64
    assert longest_input(make_model("roberta").encoder) == 62
    assert longest_input(make_model("t5").encoder) is None


def test_token_types_are_counted_where_they_are_looked_up() -> None:
    found = {name: token_types(make_model(name)) for name in ("bert", "roberta", "distilbert", "deberta-v3")}
    assert found == {"bert": 2, "roberta": 1, "distilbert": None, "deberta-v3": None}


def test_a_limit_beyond_the_positions_is_refused() -> None:
    with pytest.raises(ModelError, match=r"model.max_length: is 41, and the backbone has 40 positions. Allowed: at"):
        tiny.model(max_length=41)
    assert tiny.model(max_length=40).config.max_length == 40


def test_a_limit_beyond_what_a_rotary_encoder_was_trained_with_is_the_users_own() -> None:
    model = make_model("llama", max_length=1000)
    assert isinstance(model, MultiTaskModel)
    assert model.config.max_length == 1000
