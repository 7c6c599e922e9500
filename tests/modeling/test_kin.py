import pytest
import torch
from transformers import AutoModel

from hf_mtl.modeling.kin import kin_of, weights_of_kin
from tests.modeling.families import make_model, make_texts, padding_of


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "camembert"])
def test_the_kin_makes_the_same_states_of_the_same_weights(family: str) -> None:
    encoder = make_model(family, "linear").encoder
    config = kin_of(encoder.config)
    assert config is not None
    kin = AutoModel.from_config(config).eval()
    kin.load_state_dict(weights_of_kin(encoder.state_dict(), encoder.config))
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    found = kin(ids, attention_mask=mask).last_hidden_state[mask.bool()]
    torch.testing.assert_close(found, encoder(ids, attention_mask=mask).last_hidden_state[mask.bool()])
    # As many tokens as before fit into it.
    assert config.max_position_embeddings == 64 - (padding_of(family) + 1 if family != "bert" else 0)


@pytest.mark.parametrize("family", ["albert", "distilbert", "electra", "deberta-v2", "modernbert", "llama"])
def test_other_families_have_none(family: str) -> None:
    assert kin_of(make_model(family, "linear").encoder.config) is None


def test_a_decoder_has_none() -> None:
    config = make_model("bert", "linear").encoder.config
    config.is_decoder = True
    assert kin_of(config) is None
