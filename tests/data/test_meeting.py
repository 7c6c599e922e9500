import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import torch.distributed as dist

from hf_mtl.data import meeting as meetings
from hf_mtl.data.meeting import Meeting, Peer
from hf_mtl.errors import LostProcessError


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "_LONGEST_PAUSE", 0.01)


def test_who_comes_early_waits_for_the_last_and_gets_the_message() -> None:
    store = dist.HashStore()
    early, late = Meeting(store, 2), Meeting(store, 2)
    read: list[bytes | None] = []

    def wait() -> None:
        early.wait()
        read.append(early.message_here())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    assert read == []
    late.leave_here(b"\x00\xff")
    late.wait()
    waiting.join(5)
    assert read == [b"\x00\xff"]


@pytest.mark.parametrize("size", [0, 1, 4 << 20, (4 << 20) + 1, 20_000_000])
def test_a_message_of_any_size_fits_a_store_that_takes_8_mebibytes(size: int) -> None:
    store, message = _Narrow(), bytes(size)
    here = Meeting(store, 1)
    assert here.message_here() is None
    here.leave_here(message)
    assert here.message_here() == message


class _Narrow(dist.HashStore):
    """A store with the limit of torch's `TCPStore`, whose server hangs up at longer values."""

    def set(self, key: str, value: str) -> None:
        assert len(value) <= 8 << 20
        super().set(key, value)


def test_a_wait_outlasts_the_time_out_of_the_store() -> None:
    store = dist.HashStore()
    store.set_timeout(timedelta(milliseconds=1))
    early, late = Meeting(store, 2), Meeting(store, 2)
    waiting = threading.Thread(target=early.wait)
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    late.wait()
    waiting.join(5)
    assert not waiting.is_alive()


def test_who_waits_for_a_process_that_has_died_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.HashStore()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        peer = Peer(other.pid, meetings.psutil.Process(other.pid).create_time())
        with monkeypatch.context() as patch:
            patch.setattr(Peer, "here", lambda: peer)
            Meeting(store, 2)  # the other's, which is at work
        assert not peer.is_dead
        threading.Timer(0.05, other.kill).start()  # nobody asks after it yet: a zombie
        with pytest.raises(LostProcessError, match=f"process {other.pid}, another of this run, has ended"):
            Meeting(store, 2).wait()
    assert peer.is_dead  # and gone


def test_a_number_that_was_given_again_is_of_another_process() -> None:
    assert not Peer.here().is_dead
    assert Peer(Peer.here().pid, 0.0).is_dead


class _Gone(dist.HashStore):
    def check(self, keys: list[str]) -> bool:
        raise dist.DistNetworkError("Connection reset by peer")


def test_who_loses_the_store_is_told() -> None:
    with pytest.raises(LostProcessError, match="find each other is gone"):
        Meeting(_Gone(), 2).wait()
