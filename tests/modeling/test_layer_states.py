"""States of every layer, in each layout, are those of each row alone."""

from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl import MultiTaskModel
from hf_mtl.data.collate import Collator
from hf_mtl.errors import ModelError
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.layer_states import layer_states, states_alone
from tests import tiny

GPT2 = {"model_type": "gpt2", "vocab_size": 66, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 40}
OWN = {"per_task": {"type": "lora", "r": 2, "target_modules": ["query"]}}


def collated(model: MultiTaskModel, layout: str, name: str = "topic") -> tuple[Any, Any]:
    """A batch of seven rows, and their token ids."""
    model.eval().settle_layout(layout)  # type: ignore[arg-type]
    split = encode_splits({name: tiny.rows(name, 7)}, tiny.TASKS, tiny.tokenizer(), 32, "validation")[name]
    collator = Collator({name: split}, 0, 8 if layout == "groups" else None, model.arrangement)
    return collator(np.zeros(7, dtype=np.int64), np.arange(7)), split.tokens


@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
@pytest.mark.parametrize("config", [{}, GPT2], ids=["bert", "gpt2"])
def test_states_are_those_of_each_row_alone(layout: str, config: dict[str, Any]) -> None:
    model = MultiTaskModel.from_backbone({**(config or tiny.BERT)}, tasks=tiny.TASKS)
    batch, tokens = collated(model, layout)
    layers, output = layer_states(model, batch)
    alone = states_alone(model, batch)
    assert len(layers) == len(alone) == (4 if config else 3)
    model.settle_layout("padded")
    for row in range(7):
        with torch.no_grad():
            ids = torch.from_numpy(tokens.ids(row).astype(np.int64))[None]
            types = torch.zeros_like(ids)  # to which GPT-2 gives an embedding
            expected = model.encoder(input_ids=ids, token_type_ids=types, output_hidden_states=True)["hidden_states"]
        for layer, other, states in zip(layers, alone, expected, strict=True):
            torch.testing.assert_close(layer[row : row + 1].states, states[0], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(other[row : row + 1].states, states[0], atol=1e-5, rtol=1e-4)
    assert output.logits is not None
    assert output.logits["topic"].shape == (7, 3)


@pytest.mark.parametrize("layout", ["packed", "groups"])
def test_rows_go_through_the_adapter_of_their_task_or_through_none(layout: str) -> None:
    model = tiny.model(peft=OWN)
    private = model.private_adapters
    assert private is not None
    plain, _ = layer_states(model, collated(model, layout)[0])
    with torch.no_grad():
        for task in ("topic", "mood"):
            for adapter in private.of(task).values():
                adapter.lora_B.weight.fill_(0.5 if task == "topic" else -3.0)
    batch, _ = collated(model, layout)
    routed, _ = layer_states(model, batch)
    torch.testing.assert_close(routed[0].states, plain[0].states)
    assert (routed[-1].states - plain[-1].states).abs().max() > 1e-2
    torch.testing.assert_close(states_alone(model, batch)[-1].states, plain[-1].states, atol=1e-5, rtol=1e-4)


def test_an_encoder_without_such_states_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model()
    batch, _ = collated(model, "groups")
    forward = type(model.encoder).forward

    def silent(self: Any, *args: Any, output_hidden_states: bool = False, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model.encoder), "forward", silent)
    with pytest.raises(ModelError, match="'bert' gives no state of each token after each layer"):
        layer_states(model, batch)
