"""Processes that collate ahead of the training process. They live on while it plans their next work."""

import atexit
import copyreg
import io
import pickle
import signal
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hf_mtl.errors import LostProcessError, one_line

Asked = TypeVar("Asked")
Made = TypeVar("Made")

GRACE = 30
"""Seconds that a worker lives on after SIGTERM, as long as launchers and schedulers wait for the whole of a run."""


@dataclass(frozen=True)
class Workers:
    """Processes that collate ahead.

    Args:
        count: How many; 0 for none.
        prefetch: Micro-batches that each has ready; None: torch's default.
        context: How they are started, such as ``spawn``; None: as is usual on this system.
        steps: Optimizer steps after which they end, as those of an epoch; None: they live as long as the training.
    """

    count: int = 0
    prefetch: int | None = None
    context: str | None = None
    steps: int | None = None


NO_WORKERS = Workers()


class _Pile(Sampler[Asked]):
    """Queue of what the workers make next."""

    asked: Sequence[Asked] = ()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.asked)


class _Packing(Dataset[bytes]):
    """Makes what is asked for, as one message.

    A batch is a dozen small tensors. torch would send each in shared memory of its own, and take longer to open it
    than collating does; containers, too, have little of it.
    """

    def __init__(self, makes: Dataset[Any]):
        self.makes = makes

    def __getitem__(self, asked: Any) -> bytes:
        return pack(self.makes[asked])


def pack(batch: Any) -> bytes:
    """Pickle a batch with its tensors as arrays, of which pickle makes one copy."""
    packed = io.BytesIO()
    pickler = pickle.Pickler(packed, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, Tensor: _as_array}
    pickler.dump(batch)
    return packed.getvalue()


def _as_array(tensor: Tensor) -> tuple[Any, tuple[np.ndarray]]:
    return torch.from_numpy, (tensor.numpy(),)


class Crew(Generic[Asked, Made]):
    """Workers that make what they are asked for, in order, and wait for more.

    Args:
        makes: Its ``[asked]`` makes one thing; the workers have a copy of it, from when the first was asked for.
        workers: How many, and how they are started.
    """

    def __init__(self, makes: Dataset[Made], workers: Workers):
        _crews.add(self)
        self._pile: _Pile[Asked] = _Pile()
        self._loader = DataLoader(
            _Packing(makes),
            batch_size=None,
            sampler=self._pile,
            num_workers=workers.count,
            prefetch_factor=workers.prefetch,
            multiprocessing_context=workers.context,
            persistent_workers=True,
            worker_init_fn=outlive_signals,
            generator=torch.Generator(),  # its own: the global one belongs to dropout
        )

    def work(self, asked: Sequence[Asked]) -> Iterator[Made]:
        """Have some things made from now on; what was asked for before and not taken is dropped.

        Args:
            asked: What to make, in this order.
        """
        self._pile.asked = asked
        return map(pickle.loads, iter(self._loader))

    def end(self) -> None:
        """End the workers, which outlive the SIGTERM that Python's exit sends to them, and would be waited for."""
        iterator: Any = self._loader._iterator
        if iterator is None:
            return
        self._loader._iterator = None
        # Where a worker has died, torch says so again when the others end, and leaves them to be ended.
        with suppress(RuntimeError):
            iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():
                worker.kill()


_crews: "weakref.WeakSet[Crew[Any, Any]]" = weakref.WeakSet()


@atexit.register  # after multiprocessing's own, so that it comes before it
def _end_all() -> None:
    for crew in list(_crews):
        crew.end()


@contextmanager
def hearing_of_deaths(then: Callable[[], str]) -> Iterator[None]:
    """Say what it means when a worker has died, which torch raises wherever the program is just then.

    Args:
        then: Answers what can be done, in one or more sentences.

    Raises:
        LostProcessError: If one has died in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        why = "A worker is killed when the machine's memory is full: fewer dataloader_num_workers take less of it."
        raise LostProcessError(f"training.dataloader_num_workers: {one_line(error)}. {why} {then()}") from error


def outlive_signals(worker: int = 0) -> None:
    """Leave, in a worker, a signal that the whole group of processes gets to the training process.

    That one still needs batches to end its step, and ends the workers itself. A worker that SIGTERM reaches alone
    ends a little later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE)
