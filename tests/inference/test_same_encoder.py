"""Weights of models are compared one at a time, by their bits, from the lowest layer on."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from hf_mtl.inference.same_encoder import Reader, Trained
from tests import tiny


def test_layers_come_in_their_order_and_poolers_apart(tmp_path: Path) -> None:
    model = tiny.model(config={"num_hidden_layers": 11})
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    found = Trained.read(str(tmp_path))
    layers = [int(name.split(".")[3]) for name in found.encoder if ".layer." in name]
    assert layers == sorted(layers)
    assert layers[-1] == 10
    assert found.encoder[0].startswith("encoder.embeddings.")
    assert found.pooler == ["encoder.pooler.dense.bias", "encoder.pooler.dense.weight"]
    weights = set(model.state_dict())
    assert {*found.encoder, *found.pooler} == {name for name in weights if name.startswith("encoder.")}


def test_a_reader_reads_single_tensors(tmp_path: Path) -> None:
    model = tiny.model()
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    found = Trained.read(str(tmp_path))
    with Reader() as reader:
        for name in found.encoder[:3]:
            assert torch.equal(reader.read(found, name), model.state_dict()[name])
    save_file({"encoder.x": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert Trained.read(str(tmp_path)).encoder == ["encoder.x"]
