"""One voice for processes that were launched together: each says only what it alone has found."""

import hashlib
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TextIO, TypeVar

from hf_mtl.launched import Launched, launched

if TYPE_CHECKING:
    from torch.distributed import Store

T = TypeVar("T")

_PATIENCE_S = 5.0  # how far apart processes find the same mistake
_LOOK_EVERY_S = 0.02
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}


def quiet_others(environment: MutableMapping[str, str] = os.environ) -> None:
    """Leave warnings and progress of libraries to the first process; errors are everybody's.

    Must come before the libraries are imported. What the user has set stays.
    """
    me = launched()
    if me is None or me.rank == 0:
        return
    for name, value in _QUIET.items():
        environment.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def say(text: str, file: TextIO | None = None, last: bool = False) -> None:
    """Print a text that all processes may have, once for all of them.

    The first process prints at once. Another prints what the first has not printed within a few seconds, with its
    own number in front, and of several that have the same only one. Processes that cannot find each other all print.

    Args:
        text: The text.
        file: Where to; None: to stdout.
        last: Whether this process ends with it.
    """
    me = launched()
    if me is None:
        print(text, file=file)
        return
    if me.rank == 0:
        print(text, file=file, flush=True)
        _within_bounds(lambda: _let_others_know(me, text, last), None)
    elif not _within_bounds(lambda: _said_by_another(me, text, last), False):
        print(f"process {me.rank} of {me.world}, on {socket.gethostname()}: {text}", file=file, flush=True)


def another_has_ended() -> bool:
    """Tell whether a process of this launch has ended with a message of its own."""
    me = launched()
    return me is not None and _within_bounds(lambda: _has_ended(me), False)


def _has_ended(me: Launched) -> bool:
    store = _store(me)
    try:
        return store is not None and store.check(["ended"])
    except RuntimeError:
        return False


def _within_bounds(work: Callable[[], T], otherwise: T) -> T:
    """Do something in a thread and wait for it only so long: torch's own limits do not hold in every state."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(4 * _PATIENCE_S)
    return found[0] if found else otherwise


def _let_others_know(me: Launched, text: str, last: bool) -> None:
    store, key = _store(me), _key(text)
    if store is None:
        return
    with suppress(RuntimeError):
        store.set(f"said/{key}", "")
        if last:
            store.set("ended", "")
            store.set("ended/0", "")
        end = time.monotonic() + _PATIENCE_S
        # Where no launcher keeps the store, it ends with this process.
        while not _of_launcher() and store.add(f"looked/{key}", 0) < me.world - 1 and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)


def _said_by_another(me: Launched, text: str, last: bool) -> bool:
    store, key = _store(me), _key(text)
    if store is None:
        return False
    end = time.monotonic() + _PATIENCE_S
    try:
        if last:
            store.set("ended", "")
        while True:
            over = (
                store.check(["ended/0"]) or time.monotonic() > end
            )  # before the look: it is set after what was said
            if store.check([f"said/{key}"]):
                return True
            if over:
                return store.add(f"claimed/{key}", 1) > 1
            time.sleep(_LOOK_EVERY_S)
    except RuntimeError:  # the first process has ended, and the store with it
        return False
    finally:
        with suppress(RuntimeError):
            store.add(f"looked/{key}", 1)


@cache
def _store(me: Launched) -> "Store | None":
    """Find where the processes of this launch leave notes for each other; None: nowhere.

    It is the store at which torch lets them meet. It needs no process group: a mistake may come before there is one.
    """
    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    if not address or not port.isdigit():
        return None
    keeps = me.rank == 0 and not _of_launcher()
    if not keeps and not _answers(address, int(port)):
        return None
    try:
        from torch.distributed import PrefixStore, TCPStore

        store = TCPStore(
            address,
            int(port),
            is_master=keeps,
            timeout=timedelta(seconds=_PATIENCE_S),
            wait_for_workers=False,
            multi_tenant=True,  # the process group has its own at the same port
        )
    except (ImportError, RuntimeError, ValueError):
        return None
    # The launcher's store outlives an attempt that it repeats.
    return PrefixStore(f"hf_mtl/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def _answers(address: str, port: int) -> bool:
    """Tell whether somebody listens, or soon does; torch would print a stack where nobody does."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), timeout=_PATIENCE_S).close()
            return True
        except OSError:
            time.sleep(_LOOK_EVERY_S)
    return False


def _of_launcher() -> bool:
    """Tell whether the launcher keeps the store, as torchrun and accelerate do; else the first process does."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
