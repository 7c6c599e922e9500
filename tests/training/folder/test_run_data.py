"""The record of a run's rows is read, or named where it cannot be."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_mtl.errors import CheckpointError
from hf_mtl.training.folder.run_data import RunData

RECORDS = ["{", "{}", "null", '{"tasks": {"a": {"train": {"rows": 3}}}}', '{"tasks": []}', '{"tasks": {"a": 3}}']
RECORDS += ['{"tasks": {"a": {"train": 3}}}', '{"tasks": {"a": {"train": {"rows": "3", "content": ""}}}}']


@pytest.mark.parametrize("text", RECORDS)
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'data.json'}: damaged, .* Remove it to go on without"):
        RunData(tmp_path).fingerprints("a")


def test_damaged_hashes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trained_texts.safetensors"
    path.write_bytes(b"123456789")
    with pytest.raises(CheckpointError, match=f"{path}: damaged"):
        RunData(tmp_path).trained(np.zeros(1, np.uint64))
    for name, values in (("hashes", np.zeros((2, 2), np.uint64)), ("hashes", np.zeros(2)), ("other", np.zeros(2))):
        save_file({name: values}, path)
        with pytest.raises(CheckpointError, match=f"{path}: damaged"):
            RunData(tmp_path).trained(np.zeros(1, np.uint64))
