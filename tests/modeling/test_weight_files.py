"""Damage to files of weights is one message with the file, and nothing beside the model is opened."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig

from hf_mtl.errors import UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.weight_files import is_inside
from tests import tiny

NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"


def _header(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    size = struct.unpack("<Q", content[:8])[0]
    header = json.dumps(change(json.loads(content[8 : 8 + size]))).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _with_shape(shape: list[int]) -> Callable[[bytes], bytes]:
    def change(header: dict[str, Any]) -> dict[str, Any]:
        name = next(key for key in header if key.endswith("word_embeddings.weight"))
        return {**header, name: {**header[name], "shape": shape}}

    return lambda content: _header(content, change)


SINGLE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "short": lambda content: content[:4],
    "half": lambda content: content[: len(content) // 2],
    "html": lambda content: b"<!DOCTYPE html><html></html>",
    "pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a header without end": lambda content: b"\xff" * 8 + content[8:],
    "a header that is a list": lambda content: _header(content, lambda header: [header]),
    "no tensors": lambda content: _header(content, lambda header: {}),
    "a negative shape": _with_shape([-1, 16]),
    "a large shape": _with_shape([10**12, 10**12]),
    "another shape": _with_shape([16, 66]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model = tiny.model()
    model.save_pretrained(folder / "whole")
    model.save_pretrained(folder / "shards", max_shard_size="5KB")
    BertConfig(**tiny.BERT).save_pretrained(folder / "bert")
    AutoModel.from_config(BertConfig(**tiny.BERT)).save_pretrained(folder / "bert")
    return folder


def copy(folder: Path, to: Path) -> Path:
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize("kind", SINGLE)
def test_damaged_weights_are_named(saved: Path, tmp_path: Path, kind: str) -> None:
    folder = copy(saved / "whole", tmp_path)
    (folder / NAME).write_bytes(SINGLE[kind]((saved / "whole" / NAME).read_bytes()))
    with pytest.raises(UserError, match=f"{folder}") as caught:
        MultiTaskModel.from_pretrained(folder)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("kind", SINGLE)
def test_damaged_weights_of_a_backbone_are_named(saved: Path, tmp_path: Path, kind: str) -> None:
    folder = copy(saved / "bert", tmp_path)
    (folder / NAME).write_bytes(SINGLE[kind]((saved / "bert" / NAME).read_bytes()))
    with pytest.raises(UserError, match=f"model.backbone: .*{folder}"):
        MultiTaskModel.from_backbone(str(folder), tiny.TASKS)


def test_whole_numbers_in_place_of_real_ones_are_named(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved / "whole", tmp_path)
    weights = load_file(folder / NAME)
    name = next(key for key in weights if key.endswith("word_embeddings.weight"))
    save_file({**weights, name: weights[name].to(torch.int32)}, folder / NAME, metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"{folder / NAME}: damaged .{name} is I32 there, and torch.float32"):
        MultiTaskModel.from_pretrained(folder)


INDICES: dict[str, Any] = {
    "empty": b"",
    "html": b"<html>",
    "a list": [],
    "no map": {"metadata": {}},
    "a map that is a list": {"metadata": {}, "weight_map": []},
    "no names": {"metadata": {}, "weight_map": {}},
    "numbers": {"metadata": {}, "weight_map": {"a": 3}},
    "lists": {"metadata": {}, "weight_map": {"a": [NAME]}},
    "outside": {"metadata": {}, "weight_map": {"a": "../model.safetensors"}},
    "absolute": {"metadata": {}, "weight_map": {"a": "/etc/passwd"}},
    "missing": {"metadata": {}, "weight_map": {"a": "model-00009-of-00009.safetensors"}},
}


@pytest.mark.parametrize("kind", INDICES)
def test_a_damaged_index_is_named(saved: Path, tmp_path: Path, kind: str) -> None:
    folder = copy(saved / "shards", tmp_path)
    content = INDICES[kind]
    (folder / INDEX).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(UserError, match=f"{folder / INDEX}: damaged"):
        MultiTaskModel.from_pretrained(folder)


def test_a_missing_file_of_several_is_named(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved / "shards", tmp_path)
    gone = sorted(folder.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(UserError, match=f"{folder / INDEX}: damaged .it names {gone.name}, which is missing"):
        MultiTaskModel.from_pretrained(folder)


def test_no_weights_at_all_is_one_message(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved / "whole", tmp_path)
    (folder / NAME).unlink()
    with pytest.raises(UserError, match=f"{folder}: the model cannot be loaded: .*no file named"):
        MultiTaskModel.from_pretrained(folder)


def test_a_pipe_is_not_waited_for(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved / "whole", tmp_path)
    for name in (NAME, "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(UserError):
            MultiTaskModel.from_pretrained(folder)
        (folder / name).unlink()
        (folder / name).write_bytes((saved / "whole" / name).read_bytes())


@pytest.mark.parametrize(
    ("name", "inside"),
    [("a", True), ("tokenizer/a.json", True), ("a..b", True)]
    + [(name, False) for name in ("", ".", "..", "../a", "a/../../b", "/a", "a\\b", "c:a", "a\0b")],
)
def test_a_name_stays_in_its_folder(name: str, inside: bool) -> None:
    assert is_inside(name) is inside
