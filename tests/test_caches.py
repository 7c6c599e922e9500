"""A cache that cannot be written is named, with the variable that moves it; nothing else is taken for one."""

import errno
import tempfile
from pathlib import Path

import datasets
import pytest
from huggingface_hub import constants

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.caches import refuse_cache
from hf_mtl.data.load import load_tasks
from hf_mtl.errors import CacheError
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from tests import tiny


@pytest.fixture
def tasks(tmp_path: Path) -> dict[str, SequenceClassification]:
    for name in ("csv", "json"):
        getattr(tiny.rows("topic", 20), f"to_{name}")(str(tmp_path / f"rows.{name}"))
    return {
        name: SequenceClassification(dataset={"path": name, "data_files": str(tmp_path / f"rows.{name}")})  # type: ignore[arg-type]
        for name in ("csv", "json")
    }


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_cache_of_datasets_that_is_a_file_is_named_once(
    tmp_path: Path, tasks: dict[str, SequenceClassification], monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / inside
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    for name, task in tasks.items():
        with pytest.raises(
            CacheError, match=f"^the cache {cache} cannot be written .*Set HF_DATASETS_CACHE"
        ) as caught:
            load_tasks({name: task, "again": task})
        assert str(caught.value).count("cannot be written") == 1
        assert caught.value.exit_code == 1


def refused(number: int, path: object) -> str:
    """What is said of an error that a library raises from one of the system."""
    try:
        try:
            raise OSError(number, "so it is", path)
        except OSError as error:
            raise ValueError("cannot load") from error
    except ValueError as error:
        try:
            refuse_cache(error)
        except CacheError as found:
            return str(found)
    return ""


def test_what_the_system_says_of_a_cache_is_found_among_the_causes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    (tmp_path / "hub").mkdir()
    for number in (errno.EACCES, errno.EROFS, errno.ENOSPC):
        assert "Set HF_HUB_CACHE" in refused(number, str(tmp_path / "hub" / "models" / "lock"))
        assert "Set HF_HOME" in refused(number, str(tmp_path / "token"))
    assert "make room" in refused(errno.ENOSPC, str(tmp_path / "hub" / "a"))
    assert refused(errno.ENOENT, str(tmp_path / "hub" / "not there")) == ""
    assert refused(errno.EACCES, "/somewhere/else") == ""
    data = tmp_path / "temporary" / "data.csv"
    data.parent.mkdir()
    data.write_text("text,label\n")
    monkeypatch.setattr(tempfile, "tempdir", str(data.parent))
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    assert refused(errno.EACCES, str(data)) == "", "data of the user's that cannot be read"
    assert "Set TMPDIR" in refused(errno.EACCES, str(data.parent / "new"))
    assert "make room" in refused(errno.ENOSPC, str(data))
    assert refused(errno.EACCES, 3) == ""


def test_models_and_tokenizers_say_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "hub" / "models--a--b"))

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.hf_hub_download", fail)
    monkeypatch.setattr("transformers.utils.hub.try_to_load_from_cache", fail)
    doors = (
        MultiTaskModel.from_pretrained,
        read_tokenizer,
        lambda name: MultiTaskModel.from_backbone(name, tiny.TASKS),
    )
    for door in doors:
        with pytest.raises(CacheError, match="hub cannot be written .Permission denied.*Set HF_HUB_CACHE"):
            door("a/b")
