"""What a disk refuses is one message with the file, what is wrong and what to do."""

import errno
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets.exceptions import DatasetGenerationError
from safetensors import SafetensorError
from safetensors.torch import save_file

from hf_mtl.caches import filling_cache
from hf_mtl.disk import writing
from hf_mtl.errors import CacheError, CheckpointError, DiskError
from tests import tiny


def of_system(code: int) -> OSError:
    return OSError(code, os.strerror(code))


KINDS: list[tuple[Exception, str]] = [
    (of_system(errno.ENOSPC), "No space left on device (# free). Make room there."),
    (of_system(errno.EDQUOT), "Disk quota exceeded. Make room within your quota there."),
    (of_system(errno.EFBIG), "File too large. Raise the limit on the size of a file (ulimit -f)"),
    (of_system(errno.EROFS), "Read-only file system. Make the file system writable, or choose another folder."),
    (of_system(errno.EACCES), "Permission denied. Make the folder writable for you, or choose another one."),
    (of_system(errno.EIO), "Input/output error. Check the disk, or the network that it is reached by."),
    (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "No space left"),
    (SafetensorError("Error while serializing: I/O error: File too large (os error 27)"), "File too large"),
    (Exception("No space left on device (os error 28)"), "No space left"),
    (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "No space left"),
    (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "No space left"),
    (RuntimeError("basic_ios::clear: iostream error"), "No space left"),
    (OSError("Not enough disk space. Needed: 3 GB (download: 1 GB, generated: 2 GB)"), "No space left"),
]


@pytest.mark.parametrize(("error", "said"), KINDS, ids=[str(error)[:40] for error, _ in KINDS])
def test_every_writer_s_refusal_is_said_with_its_remedy(tmp_path: Path, error: Exception, said: str) -> None:
    with pytest.raises(DiskError) as caught, writing(tmp_path / "file"):
        raise error
    before, _, after = said.partition("#")
    assert str(caught.value).startswith(f"cannot write {tmp_path}/file: {before}")
    assert after in str(caught.value)
    assert caught.value.full == ("space" in said or "quota" in said)
    assert caught.value.exit_code == 1


OTHERS = [
    ValueError("no number"),
    RuntimeError("CUDA error"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    CheckpointError("x: damaged (os error 2)"),
]


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_other_errors_stay_what_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, writing(tmp_path):
        raise error
    assert caught.value is error


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file takes more than 1,000 bytes, whoever writes it."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


TENSORS = {"a": torch.zeros(1000)}
WRITERS: dict[str, Callable[[Path], Any]] = {
    "model.safetensors": lambda file: save_file(TENSORS, file),
    "optimizer.pt": lambda file: torch.save(TENSORS, file),
    "log.jsonl": lambda file: file.write_text("x" * 2000),
    "tokenizer.json": lambda file: tiny.tokenizer().backend_tokenizer.save(str(file)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_file_is_named_though_its_writer_does_not_name_it(tmp_path: Path, name: str, small_files: None) -> None:
    (tmp_path / "config.json").write_text("{}")
    said = f"cannot write {tmp_path}/{name}: (File too large|No space left)"
    with pytest.raises(DiskError, match=said), writing(tmp_path):
        WRITERS[name](tmp_path / name)


def test_a_full_cache_is_named_behind_what_hides_it(tmp_path: Path) -> None:
    hidden = DatasetGenerationError("An error occurred while generating the dataset")
    hidden.__cause__ = of_system(errno.ENOSPC)
    where = rf"cannot write {tmp_path}: No space left on device \(.* free\); it is in the cache"
    remedy = "Make room there, or set HF_DATASETS_CACHE to a folder elsewhere"
    with pytest.raises(CacheError, match=f"{where}. {remedy}"), filling_cache(tmp_path, "HF_DATASETS_CACHE"):
        raise hidden


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied", "data.csv"), ValueError("x")])
def test_data_that_cannot_be_read_is_no_matter_of_the_cache(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)), filling_cache(tmp_path, "HF_DATASETS_CACHE"):
        raise error


def test_the_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DiskError("cannot write x", full=True)))
    assert (str(error), error.full) == ("cannot write x", True)
