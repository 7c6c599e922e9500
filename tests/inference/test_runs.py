"""A model is found by a path, or by what can be told from a path that is none."""

from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from hf_mtl.errors import CheckpointError, ModelError, RunError
from hf_mtl.inference import runs
from hf_mtl.inference.manifest import seal
from hf_mtl.inference.runs import load_any, local_folder
from tests import tiny


def test_a_path_goes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.setattr(runs, "snapshot_download", None)
    assert local_folder("org/model") == Path("org/model")
    assert local_folder(tmp_path / "org") == tmp_path / "org"
    assert (local_folder("python:hf_mtl/data")).is_dir()
    with pytest.raises(ModelError, match="package 'hf_mtl' has no folder 'nothing'"):
        local_folder("python:hf_mtl/nothing")


@pytest.mark.parametrize("name", ["nowhere", "/no/where", "a/b/c", "./a", "org/model@", "org/model@a@b", "", "a b/c"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "snapshot_download", None)
    monkeypatch.chdir(tmp_path)
    if name == "":
        assert local_folder(name) == Path()  # the current folder, as everywhere
        return
    with pytest.raises(RunError, match=r"no such file or folder\. Give a run's folder, a checkpoint"):
        local_folder(name)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RevisionNotFoundError, "'org/model' has no revision 'v1' on the Hub"),
        (GatedRepoError, "org/model: no such file or folder, and no access to that model of the Hub, which is gated"),
        (RepositoryNotFoundError, "org/model: no such file or folder, and no such model on the Hub"),
        (TypeError, "no model that can be fetched from the Hub: odd"),
    ],
)
def test_what_the_hub_refuses_is_said(error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> str:
        assert (args, options["revision"]) == (("org/model",), "v1")
        raise error.__new__(error, "odd") if error is not TypeError else TypeError("odd")

    monkeypatch.setattr(runs, "snapshot_download", refuse)
    monkeypatch.setattr(runs.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(RunError, match=said):
        local_folder("org/model@v1")


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
    with pytest.raises(RunError, match="holds no trained model"):
        load_any(str(tmp_path))
    with pytest.raises(RunError, match="none: no such file or folder"):
        load_any(str(tmp_path / "none"))
    (tmp_path / "recipe.yaml").touch()
    (tmp_path / "config.json").touch()
    with pytest.raises(CheckpointError, match="the run has not ended"):
        load_any(str(tmp_path))
