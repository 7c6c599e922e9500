"""A study from its beginning to its answer."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from hf_mtl.data.columns import name_count
from hf_mtl.errors import HfMtlError, RunError, UserError
from hf_mtl.experiments.answer.lines import read_records
from hf_mtl.experiments.answer.question import RESULTS
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.afterwards import add_baselines, add_merged, add_rows, report_on
from hf_mtl.experiments.compare.executors import printed, refuse_slurm, submit
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.listing import listing
from hf_mtl.experiments.compare.load import Study, load_study
from hf_mtl.experiments.compare.place import is_known, refuse_place, take
from hf_mtl.experiments.compare.preflight import refuse_unusable
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.experiments.compare.work import Worker
from hf_mtl.experiments.workers import run_local, worker_command

Executor: TypeAlias = Literal["local", "slurm", "print"]

_IDLE_ROUNDS = 3
"""Rounds of workers in which nothing is finished, before it is given up."""


def compare(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    workers: int = 1,
    executor: Executor = "local",
    allow_code: bool = False,
    overwrite: bool = False,
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
        overwrite: Whether finished runs of other settings or data may be replaced.
        report: Whether to answer; otherwise only trials are done.
        say: Takes what there is to say.

    Raises:
        UserError: If the study, a recipe of it or its data cannot be used; nothing is trained.
        RunError: If the folder is of something else, or finished runs would be replaced unasked.
        HfMtlError: If workers end again and again without finishing anything, or runs have failed, so that the answer
            is without them.
    """
    study = load_study(path, overrides, allow_code)
    said = study.node.value.get("slurm")
    refuse_slurm(study.file.slurm, executor == "slurm", "" if said is None else str(said.origin))
    if not is_known(study):
        refuse_unusable(study)
    worker = worker_command("compare", os.path.abspath(path), overrides, allow_code)
    if executor == "print":
        refuse_place(study, path, overwrite)
        say(printed([*worker, *["--overwrite"] * overwrite], workers))
        return
    take(study, path, say, overwrite)
    if executor == "slurm":
        jobs = submit(worker, workers, study.folder / "jobs", study.file.slurm)
        say(f"{len(jobs)} jobs: {', '.join(str(job.job_id) for job in jobs)}. How far they are: --list")
        return
    if workers == 1:
        Worker(study, say).work()
    else:
        _in_rounds(study, worker, workers)
    if report:
        _answer(study, say)


def _in_rounds(study: Study, worker: Sequence[str], workers: int) -> None:
    """Run workers until nothing is missing: what one that is killed at last leaves behind, the next round does."""
    trials, ledger = trials_of(study), Ledger(study.folder)
    idle, left = 0, len(trials) + 1
    while idle < _IDLE_ROUNDS:
        codes = run_local(worker, workers)
        missing = list(ledger.states(trials).values()).count("missing")
        if UserError.exit_code in codes:
            raise RunError(f"a worker ended with a mistake, which it has said; {missing} runs are missing")
        if not missing or not any(codes):
            return
        idle, left = (idle + 1, left) if missing >= left else (0, missing)
    ended = ", ".join(map(str, codes))
    raise HfMtlError(
        f"{study.folder}: workers ended with the codes {ended} again and again; {missing} runs are missing"
    )


def _answer(study: Study, say: Callable[[str], None]) -> None:
    """Add what costs no training, and let the report be made, once every run is done or has failed for good.

    Raises:
        HfMtlError: If a run has failed: the study is not whole, and a script that goes by the exit code must know.
    """
    trials, ledger = trials_of(study), Ledger(study.folder)
    states = list(ledger.states(trials).values())
    if unfinished := [state for state in states if state in ("missing", "running")]:
        running, every = unfinished.count("running"), name_count(len(trials), "run")
        say(
            f"Not finished: {len(unfinished)} of {every}, of which running elsewhere: {running}. "
            "The answer follows when all are: the same command, or --list."
        )
        return
    # Two workers may have ended at once, and models are merged, and records added, by one of them.
    with claim(ledger.claims / "answer") as mine:
        if not mine:
            say("Another worker is about to give the answer.")
            return
        add_baselines(study, ledger, trials, say)
        merged = add_merged(study, ledger, trials, say)
        others = merged | add_rows(study, ledger, trials, merged)
        if moved := ledger.set_aside(trials, others):
            say(
                f"{moved} records of recipes or data that have changed since are in {study.folder / 'earlier.jsonl'}."
            )
        compared = report_on(study.folder, say)
    if not (failed := states.count("failed")):
        return
    said = f"{failed} of {name_count(len(trials), 'run')} failed"
    # A single arm is compared with nothing: its scores are the answer.
    if not compared and (len(study.arms) > 1 or failed == len(trials)):
        raise HfMtlError(f"{study.folder}: nothing could be answered, as {said}. Why: --list")
    raise HfMtlError(f"{study.folder}: {said}; the answer is without {'it' if failed == 1 else 'them'}. Why: --list")


def show(path: str | Path, overrides: Sequence[str] = (), workers: int = 1, allow_code: bool = False) -> str:
    """Say how far a study is; see `listing`.

    Args:
        path: The study's file.
        overrides: ``key=value`` that replace keys of the study.
        workers: Workers among which what is left is divided.
        allow_code: Whether code that recipes name may be run.
    """
    study = load_study(path, overrides, allow_code)
    read_records(study.folder / RESULTS)  # says which line is none, if any
    return listing(study, workers)
