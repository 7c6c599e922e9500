"""Where workers run: as processes of this machine, as jobs of Slurm, or wherever printed commands are started.

A worker is one and the same command everywhere. Workers need not know of each other: trials are claimed in the
study's folder.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hf_mtl.errors import Mistake, Terminated, UserError


def command(study: str, overrides: Sequence[str], allow_code: bool, python: str = sys.executable) -> list[str]:
    """Return the command of one worker.

    Args:
        study: The study's file.
        overrides: ``key=value`` for it.
        allow_code: Whether code that recipes name may be run.
        python: The interpreter.
    """
    allowed = ["--allow-code"] if allow_code else []
    return [python, "-m", "hf_mtl", "compare", study, *overrides, *allowed, "--no-report"]


def printed(worker: Sequence[str], workers: int) -> str:
    """Return the commands as lines of a shell, to be started by anything, in this folder.

    Args:
        worker: The command of a worker.
        workers: How many there are.
    """
    return "\n".join([shlex.join(worker)] * workers)


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


def submit(
    worker: Sequence[str], workers: int, folder: Path, options: Mapping[str, Any], cluster: str = "slurm"
) -> list[Any]:
    """Hand workers to Slurm, a job each.

    Args:
        worker: The command of a worker.
        workers: How many there are.
        folder: Folder of the jobs' logs.
        options: Of submitit's executor, such as ``{"slurm_partition": "gpu", "timeout_min": 600}``.
        cluster: ``slurm``, or what else submitit knows: ``local`` for processes here, ``debug`` for this process.

    Returns:
        The jobs, of submitit.

    Raises:
        UserError: If submitit is not installed, or there is no Slurm.
    """
    try:
        from submitit import AutoExecutor
        from submitit.helpers import CommandFunction
    except ImportError:
        remedy = "Install hf_mtl[slurm], or use --executor print and start the commands yourself"
        raise UserError(Mistake("--executor", "slurm needs submitit, which is not installed", remedy)) from None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        executor = AutoExecutor(folder=folder, cluster=cluster)
    except RuntimeError as error:
        remedy = "Run it where sbatch is, or use --executor local or print"
        raise UserError(Mistake("--executor", str(error).rstrip("."), remedy)) from error
    executor.update_parameters(name="hf-mtl-compare", **options)
    run = CommandFunction(list(worker), verbose=True, cwd=Path.cwd())
    return [executor.submit(run) for _ in range(workers)]
