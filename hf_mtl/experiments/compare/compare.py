"""A study from its beginning to its answer."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from hf_mtl.errors import RunError
from hf_mtl.experiments.compare.contenders import merged_records
from hf_mtl.experiments.compare.executors import SLURM, command, printed, run_local, submit
from hf_mtl.experiments.compare.ledger import RUN, Ledger
from hf_mtl.experiments.compare.listing import listing
from hf_mtl.experiments.compare.load import Study, load_study
from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.experiments.compare.trials import Trial, trials_of
from hf_mtl.experiments.compare.work import Worker
from hf_mtl.experiments.results import Record
from hf_mtl.plain import dump_yaml
from hf_mtl.reporting.atomic import replacing
from hf_mtl.training.folder.fresh_folder import place_mistakes

Executor: TypeAlias = Literal["local", "slurm", "print"]

_ROUNDS = 3


def compare(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    workers: int = 1,
    executor: Executor = "local",
    allow_code: bool = False,
    report: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Run what is missing of a study, and answer its question once nothing is.

    Args:
        path: The study's file.
        overrides: ``key=value`` that replace keys of the study.
        workers: Workers, which share the cores.
        executor: Where they run: ``local``, ``slurm``, or nowhere (``print`` says their commands).
        allow_code: Whether code that recipes name may be run.
        report: Whether to answer; otherwise only trials are done.
        say: Takes what there is to say.

    Raises:
        UserError: If the study, a recipe of it or its data cannot be used; nothing is trained.
        RunError: If workers end again and again without finishing anything.
    """
    study = load_study(path, overrides, allow_code)
    worker = command(str(path), overrides, allow_code)
    if executor == "print":
        say(printed(worker, workers))
        return
    _open(study)
    if executor == "slurm":
        jobs = submit(worker, workers, study.folder / "jobs", _slurm_options(), os.environ.get("HF_MTL_CLUSTER", SLURM))
        say(f"{workers} jobs: {', '.join(str(job.job_id) for job in jobs)}. How far they are: --list")
        return
    if workers == 1:
        Worker(study, say).work()
    else:
        _in_rounds(study, worker, workers)
    if report:
        _answer(study, say)


def show(path: str | Path, overrides: Sequence[str] = (), workers: int = 1, allow_code: bool = False) -> str:
    """Say how far a study is; see `listing`.

    Args:
        path: The study's file.
        overrides: ``key=value`` that replace keys of the study.
        workers: Workers among which what is left is divided.
        allow_code: Whether code that recipes name may be run.
    """
    return listing(load_study(path, overrides, allow_code), workers)
