"""Workers of a sweep on one machine: processes of their own, of which any may be killed."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import FrameType

from hf_mtl.errors import HfMtlError, RunError, Stopped, Terminated
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep, read_sweep
from hf_mtl.experiments.sweep.studies import Studies

_PAUSE_S = 0.5


def work_apart(
    sweep: Sweep, studies: Studies, count: int, overrides: Sequence[str], say: Callable[[Record], None]
) -> None:
    """Let so many processes run trials until none is left for them.

    What they print is in ``workers/N.log`` of the sweep's folder. They share the cores.

    Args:
        sweep: The sweep.
        studies: Its studies.
        count: Number of processes.
        overrides: The words with which its file was read.
        say: Is told of each trial that ends meanwhile.

    Raises:
        RunError: If one ended with an error, which its log has. One that was killed is no error: others, or the
            caller, go on with its trial.
    """
    logs = [sweep.output_dir / "workers" / f"{number + 1}.log" for number in range(count)]
    logs[0].parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks and threads
    threads = max(1, (os.cpu_count() or 1) // count)
    told = (str(sweep.path), list(overrides), sweep.allow_code, threads)
    workers = [context.Process(target=_worker, args=(*told, str(log))) for log in logs]
    before = len(studies.results.all())
    with _stopping(workers):
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            time.sleep(_PAUSE_S)
            before = _say_new(studies, before, say)
    broken = [log for worker, log in zip(workers, logs, strict=True) if (worker.exitcode or 0) > 0]
    if broken:
        raise RunError(f"a worker ended with an error; see {broken[0]}. What has ended is kept: start it again")


def _say_new(studies: Studies, before: int, say: Callable[[Record], None]) -> int:
    records = studies.results.all()
    for record in records[before:]:
        if record["kind"] == "trial":
            say(record)
    return len(records)


@contextmanager
def _stopping(workers: Sequence[BaseProcess]) -> Iterator[None]:
    """Have the workers stop after their step when this process is told to, and wait for them."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated("Stopped by SIGTERM; the trials go on where they are when the sweep is started again.")

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            if worker.pid is not None:
                worker.join()


def _worker(path: str, overrides: list[str], allow_code: bool, threads: int, log: str) -> None:
    """Run trials in a process of its own, whose output goes to a file."""
    with open(log, "ab", buffering=0) as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    import torch

    from hf_mtl.experiments.sweep.place import identity
    from hf_mtl.experiments.sweep.trial import run_trial
    from hf_mtl.experiments.sweep.work import work

    torch.set_num_threads(threads)
    try:
        sweep = read_sweep(path, overrides, allow_code)
        work(sweep, Studies(sweep, identity(sweep)), run_trial)
    except Stopped:  # has said so, and its trial waits for whoever is next
        sys.exit(0)
    except HfMtlError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
