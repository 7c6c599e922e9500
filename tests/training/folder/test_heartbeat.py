"""The lock of a file system that has none."""

import errno
import os
import time
from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.training.folder import heartbeat, kernel_lock
from hf_mtl.training.folder.heartbeat import NAME, Heartbeat
from hf_mtl.training.folder.lock_holders import Holder
from hf_mtl.training.folder.run_lock import run_lock

ELSEWHERE = Holder("node7", 4321, "2026-01-02T03:04:05.000006+00:00")


@pytest.fixture(autouse=True, params=["ENOSYS", "EOPNOTSUPP", "ENOLCK", "no fcntl"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, request.param), "no locks here")

    if request.param == "no fcntl":
        monkeypatch.setattr(kernel_lock, "fcntl", None)
    else:
        monkeypatch.setattr(kernel_lock.fcntl, "flock", refuse)
    monkeypatch.setattr(heartbeat, "SETTLE_S", 0.0)


def beat(folder: Path, age: float, rank: int = 0, line: bytes = ELSEWHERE.line()) -> Path:
    """The file of a process elsewhere that wrote it a while ago."""
    path = folder / f"{NAME}{rank}"
    path.write_bytes(line)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path),
        pytest.raises(RunError, match=f"in use by another run: process {os.getpid()} on "),
        run_lock(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("line", [ELSEWHERE.line(), b"damaged"])
def test_a_process_elsewhere_is_believed_for_a_minute(tmp_path: Path, rank: int, line: bytes) -> None:
    path = beat(tmp_path, 50, rank, line)
    named = line != b"damaged"
    who = (
        "process 4321 on node7, since 2026-01-02 03:04:05.00:00" if named else f"a process that {path} does not name"
    )
    with pytest.raises(RunError, match=f"in use by another run: {who}"), run_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [path]
    beat(tmp_path, 70, rank, line)
    with run_lock(tmp_path):
        assert Holder.here().host.encode() in (tmp_path / f"{NAME}0").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_this_machines_clock_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beat(tmp_path, 10)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with pytest.raises(RunError), run_lock(tmp_path):
        pass


def test_of_two_that_find_a_stale_one_the_last_to_write_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(tmp_path, 100)
    monkeypatch.setattr(time, "sleep", lambda _: beat(tmp_path, 0))
    with pytest.raises(RunError, match="process 4321 on node7"), run_lock(tmp_path):
        pass
    assert (tmp_path / f"{NAME}0").read_bytes() == ELSEWHERE.line()


def until(true: object) -> None:
    end = time.monotonic() + 5
    while not true() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.005)
    assert true()  # type: ignore[operator]


def test_every_process_goes_on_beating_until_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.005)
    main, other = Heartbeat.take(tmp_path, 0, alone=True), Heartbeat.take(tmp_path, 1, alone=False)
    for rank in (0, 1):
        path = tmp_path / f"{NAME}{rank}"
        os.utime(path, (0, 0))
        until(lambda path=path: path.stat().st_mtime > 1e9)
    for lock in (main, other):
        lock.release(last=True)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_lost_its_folder_says_so_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.005)
    lock = Heartbeat.take(tmp_path, 0, alone=True)
    path = beat(tmp_path, 5)
    until(lambda: "another run took this folder" in caplog.text)
    lock.release(last=True)
    assert path.read_bytes() == ELSEWHERE.line()
