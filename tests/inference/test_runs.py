from pathlib import Path

import pytest
import torch

from hf_mtl.errors import CheckpointError, ModelError, RunError
from hf_mtl.inference.manifest import seal
from hf_mtl.inference.runs import load_any
from tests import tiny


def test_a_model_without_a_manifest_is_loaded_and_one_with_it_is_verified(tmp_path: Path) -> None:
    model = tiny.model(dropout=0.5)
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    found = load_any(str(tmp_path))
    assert (found.training, found.dtype, list(found.tasks)) == (False, torch.float32, list(tiny.TASKS))
    seal(tmp_path)
    assert not load_any(str(tmp_path)).training
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"config\.json: damaged"):
        load_any(str(tmp_path))


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load the config"):
        load_any(str(tmp_path))
    with pytest.raises(RunError, match="none: no such folder"):
        load_any(str(tmp_path / "none"))
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(CheckpointError, match="the run has not ended"):
        load_any(str(tmp_path))
