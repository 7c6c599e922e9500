"""Everything that is written has the permissions that the umask gives."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from hf_mtl.inference.manifest import seal
from hf_mtl.training.checkpoint import save_state
from hf_mtl.training.folder.run_data import RunData
from tests import tiny


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


class Part:
    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"a": torch.ones(2)}

    def load_state_dict(self, state: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("mask", [0o002, 0o027, 0o077])
def test_files_have_the_permissions_of_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        model = tiny.model()
        model.save_pretrained(tmp_path / "whole")
        model.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
        tiny.model(peft="lora").save_pretrained(tmp_path / "adapters")
        model.set_statistics("score", mean=[1.0, 2.0], std=[3.0, 4.0])
        model.export_task("topic", tmp_path / "exported", tiny.tokenizer())
        save_state(tmp_path / "whole" / "state.safetensors", {"part": Part()})
        RunData(tmp_path).write({})
        seal(tmp_path / "whole")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 18
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~mask}


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "secret.safetensors"
    mine.touch(0o600)
    with umask(0o002):
        tiny.model().save_pretrained(tmp_path)
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600
