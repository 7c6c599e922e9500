"""Meetings: wait for other processes as long as they work, and no longer than they live."""

import itertools
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil
import torch.distributed as dist

from hf_mtl.errors import LostProcessError

_LONGEST_PAUSE = 0.5
_LONGEST_VALUE = 4 << 20  # characters; torch's store closes the connection at more than 8 MiB
_numbers = itertools.count()


@dataclass(frozen=True)
class Peer:
    """A process of this machine.

    Args:
        pid: Its number.
        since: When it began, as psutil tells it: numbers are given again.
    """

    pid: int
    since: float

    @classmethod
    def here(cls) -> "Peer":
        """Return this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def is_dead(self) -> bool:
        """Tell whether the process has ended; one that its parent has not asked after yet is a zombie."""
        with suppress(psutil.AccessDenied):
            try:
                process = psutil.Process(self.pid)
                found: bool = process.create_time() != self.since or process.status() == psutil.STATUS_ZOMBIE
                return found
            except psutil.NoSuchProcess:
                return True
        return False


class Meeting:
    """Meeting of the processes of a run: those that come first wait until all are there, however long it takes.

    A collective such as a barrier gives up after ``ddp_timeout``, half an hour, and on GPUs ends the process. Here
    each looks now and then into the store in which the processes of a run have found each other: there is no
    time-out, signals are answered meanwhile, and who waits for a process of its own machine sees that it has died.
    Of other machines it sees that the store is gone, with the process or the launcher that keeps it.

    Args:
        store: Where the processes leave word for each other, under keys of this meeting.
        world: How many come.
    """

    def __init__(self, store: dist.Store, world: int):
        self._store = store
        self._world = world
        self._machine = _machine()
        # At once: whoever waits must know of those that are still at work.
        number = store.add(self._machine, 1)
        store.set(f"{self._machine} {number}", json.dumps(asdict(Peer.here())))

    @classmethod
    def next(cls) -> "Meeting":
        """Make the next meeting of the run's processes: all of them make the same ones in the same order."""
        store = dist.distributed_c10d._get_default_store()
        return cls(dist.PrefixStore(f"hf_mtl/{next(_numbers)}", store), dist.get_world_size())

    def leave_here(self, message: bytes) -> None:
        """Leave a message for the others of this machine; once at most, before waiting."""
        # A store keeps text: Python's binding decodes what it is given as bytes on some versions.
        text, key = message.hex(), f"message {self._machine}"
        starts = range(0, len(text), _LONGEST_VALUE)
        for number, start in enumerate(starts):
            self._store.set(f"{key} {number}", text[start : start + _LONGEST_VALUE])
        self._store.set(key, str(len(starts)))

    def message_here(self) -> bytes | None:
        """Read the message; after waiting. None if no process of this machine has left one."""
        key = f"message {self._machine}"
        if not self._store.check([key]):
            return None
        pieces = range(int(self._store.get(key)))
        return bytes.fromhex("".join(self._store.get(f"{key} {number}").decode() for number in pieces))

    def wait(self) -> None:
        """Wait until all have come.

        Raises:
            LostProcessError: If one of them has ended, so that it never will.
        """
        try:
            if self._store.add("arrived", 1) == self._world:
                self._store.set("all", "")
            pause = 0.005
            while not self._store.check(["all"]):
                if pause > _LONGEST_PAUSE:
                    pause = _LONGEST_PAUSE
                    self._refuse_dead()
                time.sleep(pause)
                pause *= 2
        except dist.DistError as error:
            problem = "the store in which the processes of the run find each other is gone, and so is another process"
            raise LostProcessError(f"{problem}; its last message tells why.") from error

    def _refuse_dead(self) -> None:
        for number in range(1, self._store.add(self._machine, 0) + 1):
            key = f"{self._machine} {number}"
            if not self._store.check([key]):  # it is just writing it
                continue
            peer = Peer(**json.loads(self._store.get(key)))
            # It may have come and gone since the caller looked.
            if peer.is_dead and not self._store.check(["all"]):
                raise LostProcessError(
                    f"process {peer.pid}, another of this run, has ended; its last message tells why."
                )


def _machine() -> str:
    """Return a name for what shares process numbers: a machine, or a container on it."""
    namespace = ""
    with suppress(OSError):  # only Linux has them
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {namespace}"
