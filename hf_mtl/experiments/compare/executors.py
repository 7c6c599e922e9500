"""Where workers run other than as processes of this machine: as jobs of Slurm, or wherever commands are started.

A worker is one and the same command everywhere. Workers need not know of each other: trials are claimed in the
study's folder.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hf_mtl.errors import Mistake, UserError, one_line
from hf_mtl.experiments.workers import NO_REPORT


def printed(worker: Sequence[str], workers: int) -> str:
    """Return the commands as lines of a shell, to be started by anything, in any folder, and what is to be run then.

    Args:
        worker: The command of a worker.
        workers: How many there are.
    """
    # The study's folder, and paths of the command line, are relative to this one.
    here = f"cd {shlex.quote(os.getcwd())} &&"
    answer = shlex.join(word for word in worker if word != NO_REPORT)
    lines = [f"{here} {shlex.join(worker)}"] * workers
    return "\n".join([*lines, "# They give no answer. When all of them have ended, run:", f"# {here} {answer}"])


def refuse_slurm(options: Mapping[str, Any], to_be_used: bool, where: str = "") -> None:
    """Refuse options that submitit does not know, and jobs of Slurm where there is none; nothing is written.

    Args:
        options: Of submitit's executor.
        to_be_used: Whether jobs are to be handed to Slurm. Otherwise only the names of options are looked at, by
            submitit, where it is installed.

    Raises:
        UserError: If submitit does not know an option, is missing, or there is no Slurm.
    """
    if not options and not to_be_used:
        return
    try:
        from submitit import AutoExecutor
    except ImportError:
        if not to_be_used:
            return
        remedy = "Install hf_mtl[slurm], or use --executor print and start the commands yourself"
        raise UserError(Mistake("--executor", "slurm needs submitit, which is not installed", remedy)) from None
    with TemporaryDirectory() as folder:
        try:
            AutoExecutor(folder=folder, cluster="debug").update_parameters(**options)
        except (NameError, AssertionError, TypeError) as error:
            raise UserError(
                Mistake("slurm", one_line(error), "Allowed: options of submitit's AutoExecutor", where)
            ) from error
        try:
            AutoExecutor(folder=folder, cluster="slurm" if to_be_used else "debug")
        except RuntimeError as error:
            remedy = "Run it where sbatch is, or use --executor local or print"
            raise UserError(Mistake("--executor", str(error).rstrip("."), remedy)) from error


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
    """
    from submitit import AutoExecutor
    from submitit.helpers import CommandFunction

    folder.mkdir(parents=True, exist_ok=True)
    executor = AutoExecutor(folder=folder, cluster=cluster)
    executor.update_parameters(name="hf-mtl-compare", **options)
    run = CommandFunction(list(worker), verbose=True, cwd=Path.cwd())
    return [executor.submit(run) for _ in range(workers)]
