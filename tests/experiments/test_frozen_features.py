import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, BertConfig, PreTrainedModel, set_seed

from hf_mtl.experiments.frozen_features import FrozenFeatures, use_frozen_features
from tests import tiny

TYPES = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]])
IDS = torch.tensor([[2, 9, 3, 7, 3], [2, 8, 3, 0, 0]])


def encoder() -> PreTrainedModel:
    set_seed(0)
    config: dict[str, Any] = {key: value for key, value in tiny.BERT.items() if key != "model_type"}
    made: PreTrainedModel = AutoModel.from_config(BertConfig(**config), attn_implementation="eager").eval()
    return made


def on_features(layers: int) -> tuple[PreTrainedModel, FrozenFeatures]:
    found = encoder()
    features = FrozenFeatures(found, layers, pad_id=0)
    use_frozen_features(found, features, layers)
    return found, features


def states(model: PreTrainedModel) -> Tensor:
    found = model(input_ids=IDS, token_type_ids=TYPES, attention_mask=(IDS != 0).long()).last_hidden_state
    return torch.where((IDS != 0)[..., None], found, 0.0)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_an_encoder_gives_what_it_gave_before(layers: int) -> None:
    upper, _ = on_features(layers)
    assert upper.config.num_hidden_layers == len(upper.encoder.layer) == 2 - layers
    torch.testing.assert_close(states(upper), states(encoder()))


def test_a_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    upper, features = on_features(1)
    first, asked = states(upper), []
    lower = features._encode

    def encode(ids: Tensor, types: Tensor) -> Tensor:
        asked.append(ids)
        return lower(ids, types)

    monkeypatch.setattr(features, "_encode", encode)
    assert torch.equal(states(upper), first)
    assert asked == []
    features.remember(torch.tensor([[2, 9, 3, 0], [2, 8, 3, 0], [2, 9, 3, 0]]))
    # Neither padding nor a repeat makes another text; other token types do, and the padding is cut away.
    assert [ids.tolist() for ids in asked] == [[[2, 9, 3], [2, 8, 3]]]
    features.forget()
    states(upper)
    assert len(asked) == 2


def test_nothing_of_the_frozen_layers_is_trained_or_saved() -> None:
    upper, features = on_features(1)
    before = copy.deepcopy(features.lower.state_dict())
    assert not any("_lower" in name or "encoder.layer.1" in name for name in upper.state_dict())
    assert all(not parameter.requires_grad for parameter in features.lower.parameters())
    states(upper.train()).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in features.lower.state_dict().items())
