"""The holders of the lock of a run's folder, as its lock file names them."""

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil

from hf_mtl.errors import Mistake, RunError
from hf_mtl.training.launch import alone_of_several

_SHOWN = 3


@dataclass(frozen=True)
class Holder:
    """A process of a run that is at work in a folder.

    Args:
        host: Its machine.
        pid: Its number there.
        since: When it took the lock, as ISO 8601 with the zone.
    """

    host: str
    pid: int
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), datetime.now().astimezone().isoformat())

    def line(self) -> bytes:
        """Give its line of a lock file."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @property
    def is_dead(self) -> bool:
        """Tell whether it is known to be dead; nothing is known of other machines."""
        return self.host == socket.gethostname() and not psutil.pid_exists(self.pid)

    def __str__(self) -> str:
        since = self.since[:19].replace("T", " ") + self.since[-6:]
        return f"process {self.pid} on {self.host}, since {since}"


def read_holders(text: bytes) -> list[Holder] | None:
    """Read a lock file.

    Returns:
        The processes that it names; None if it holds anything else, so that it is damaged or somebody else's.
    """
    holders = []
    for line in text.decode("utf-8", errors="replace").splitlines():
        try:
            holder = Holder(**json.loads(line))
        except (ValueError, TypeError):
            return None
        if not (isinstance(holder.host, str) and type(holder.pid) is int and isinstance(holder.since, str)):
            return None
        holders.append(holder)
    return holders


def in_use(path: Path, holders: Sequence[Holder] | None, if_dead: str) -> RunError:
    """Say who is at work in a folder, and what can be done.

    Args:
        path: The lock file.
        holders: Who holds it, as far as it can be read.
        if_dead: What to do about one that is dead.
    """
    named = holders or []
    # The first may have died and left its workers behind: then they are in the way.
    living = [holder for holder in named if not holder.is_dead] or named
    who = "; ".join(map(str, living[:_SHOWN])) or f"a process that {path} does not name"
    more = f"; and {len(living) - _SHOWN} more" if len(living) > _SHOWN else ""
    choice = alone_of_several() or "Wait for it, end it, or choose another folder with training.output_dir=FOLDER."
    found = f"{path.parent} is in use by another run: {who}{more}"
    return RunError(Mistake("training.output_dir", found, f"{choice} {if_dead}"))
