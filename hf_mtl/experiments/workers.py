"""Workers of this machine: processes that share a folder of trials, each one and the same command."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TextIO

from hf_mtl.errors import Terminated

NO_REPORT = "--no-report"
"""The option of a worker: the answer is another's to give."""

_LIBRARIES = ("transformers", "datasets", "evaluate", "huggingface_hub")
OUTPUT = "output.txt"
"""The lines that a trial's run prints, warnings too."""


def worker_command(
    name: str, file: str, overrides: Sequence[str], allow_code: bool, python: str = sys.executable
) -> list[str]:
    """Return the command of one worker.

    Args:
        name: ``compare`` or ``sweep``.
        file: The file of the study or sweep.
        overrides: ``key=value`` for it.
        allow_code: Whether code that recipes name may be run.
        python: The interpreter.
    """
    allowed = ["--allow-code"] if allow_code else []
    return [python, "-m", "hf_mtl", name, file, *overrides, *allowed, NO_REPORT]


def run_local(worker: Sequence[str], workers: int) -> list[int]:
    """Run workers as processes of this machine, each with its part of the cores, to their end.

    Args:
        worker: The command of a worker.
        workers: How many there are.

    Returns:
        Their exit codes.
    """
    from joblib import Parallel, delayed

    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    started: list[subprocess.Popen[bytes]] = []
    with _ending(started):
        started += [subprocess.Popen(worker, env=environment) for _ in range(workers)]
        # In threads, each of which waits for a process: one that is killed leaves the others alone.
        codes = Parallel(n_jobs=workers, prefer="threads")(delayed(process.wait)() for process in started)
    return [int(code) for code in codes]


@contextmanager
def _ending(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Pass on what asks this process to end, and wait until the workers have: each keeps a checkpoint first."""

    def stop(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)
        for process in processes:
            process.wait()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated("the workers were asked to stop")

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def output_kept(folder: Path) -> Iterator[None]:
    """Keep what is printed in the file `OUTPUT` of a trial's folder: beside other workers nobody could read it.

    Args:
        folder: The folder; made if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        open(folder / OUTPUT, "a", encoding="utf-8") as output,
        redirect_stdout(output),
        redirect_stderr(output),
        _logs_into(output),
    ):
        yield


@contextmanager
def _logs_into(output: TextIO) -> Iterator[None]:
    """Redirect the logs of the libraries below, whose handlers have held the error stream since their import."""
    every = [handler for name in _LIBRARIES for handler in logging.getLogger(name).handlers]
    handlers = [handler for handler in every if type(handler) is logging.StreamHandler]
    before = [handler.setStream(output) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:  # None: it wrote there already
                handler.setStream(stream)
