import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from hf_mtl import SequenceClassification
from hf_mtl.modeling import build_head

from ..families import FAMILIES, make_texts, padding_of


@pytest.mark.parametrize("family", FAMILIES)
def test_is_the_architectures_own_head(family: str) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(**FAMILIES[family], num_labels=4)
    whole = AutoModelForSequenceClassification.from_config(config).eval()
    head = build_head("native", 16, SequenceClassification(labels=4), config).eval()
    own = {name for name in whole.state_dict() if not name.startswith(whole.base_model_prefix + ".")}
    assert set(head.model.state_dict()) == own
    head.model.load_state_dict({name: whole.state_dict()[name] for name in own})
    ids, mask = make_texts([6, 6], padding=padding_of(family))
    output = whole.base_model(ids, mask)
    pooler = head.source(config, SequenceClassification(labels=4)) == "pooler"
    hidden = output.last_hidden_state
    pooled = hidden.mean(dim=1) if head.forced_pooling(config) == "mean" else hidden[:, 0]
    features = output.pooler_output if pooler else pooled
    torch.testing.assert_close(head(features), whole(ids, attention_mask=mask).logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_is_initialised_as_the_architecture_does(family: str) -> None:
    config = AutoConfig.for_model(**FAMILIES[family], num_labels=64, initializer_range=0.01)
    torch.manual_seed(0)
    whole = AutoModelForSequenceClassification.from_config(config).state_dict()
    for name, value in build_head("native", 16, SequenceClassification(labels=64), config).model.state_dict().items():
        assert torch.isfinite(value).all()
        torch.testing.assert_close(value.std(), whole[name].std(), rtol=0.35, atol=1e-8, msg=name)


def test_own_dropout_beats_the_backbones() -> None:
    config = AutoConfig.for_model(**FAMILIES["roberta"])
    head = build_head({"type": "native", "dropout": 0.45}, 16, SequenceClassification(labels=2), config, dropout=0.2)
    assert head.model.classifier.dropout.p == 0.45
    assert config.hidden_dropout_prob == 0.1
