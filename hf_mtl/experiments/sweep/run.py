"""A sweep from its file to its answer."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, RunError
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.answer import answer
from hf_mtl.experiments.sweep.file import Sweep, read_sweep
from hf_mtl.experiments.sweep.overlay import write_overlay
from hf_mtl.experiments.sweep.place import identity, refuse_other, take
from hf_mtl.experiments.sweep.preflight import refuse_unusable
from hf_mtl.experiments.sweep.report import RECORD, write_answer
from hf_mtl.experiments.sweep.storage import refuse_storage
from hf_mtl.experiments.sweep.studies import Studies
from hf_mtl.experiments.sweep.tables import state_table
from hf_mtl.experiments.sweep.trial import run_trial
from hf_mtl.experiments.sweep.work import RunTrial, work
from hf_mtl.experiments.workers import run_local, worker_command
from hf_mtl.launched import launched

_BY_A_SIGNAL = 128
"""Exit codes from here on say which signal has ended a process."""


def run_sweep(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    workers: int = 1,
    allow_code: bool = False,
    report: bool = True,
    say: Callable[[Record], None] = lambda record: None,
    run: RunTrial = run_trial,
) -> tuple[Sweep, dict[str, Any] | None]:
    """Run what is left of a sweep, and say what came out.

    Any number of processes, on machines that share its folder, may run one sweep; the last to end scores the test.

    Args:
        path: The file.
        overrides: ``key=value`` with dotted keys of the file, which win over it.
        workers: Processes of this machine; those of more than one print what they do.
        allow_code: Whether code that the recipes name may be run.
        report: Whether to answer; otherwise only trials are done.
        say: Is told of each trial that has ended in this process.
        run: Runs a trial.

    Returns:
        The sweep, and the answer as `answer` returns it and ``answer.json`` has it; None while others run
        trials, and without ``report``.

    Raises:
        UserError: If anything is wrong with the file, the recipes, their data or the folder; nothing is run.
        RunError: If a worker ended with an error, which it has said.
        DiskError: If a file cannot be written; the sweep goes on when it is started again.
        Stopped: At Ctrl-C and SIGTERM; likewise.
    """
    refuse_surroundings()
    sweep = read_sweep(path, overrides, allow_code)
    if not (sweep.output_dir / RECORD).exists():
        refuse_unusable(sweep)
        refuse_other(sweep)
        refuse_storage(sweep, identity(sweep))
    take(sweep)
    studies = Studies(sweep, identity(sweep))
    if workers > 1 and not studies.is_done():
        codes = run_local(worker_command("sweep", str(path), overrides, allow_code), workers)
        # One that was killed or stopped is no error: its trial goes on below.
        if any(0 < code < _BY_A_SIGNAL for code in codes):
            raise RunError("a worker ended with an error, which it has said. What has ended is kept: start it again")
    work(sweep, studies, run, say)  # alone, or what a worker that was killed has left
    if not report or not studies.is_done():
        return sweep, None
    with claim(studies.claims / "answer") as mine:
        return sweep, _close(sweep, studies) if mine else None


def refuse_surroundings() -> None:
    """Refuse what a sweep cannot run in.

    Raises:
        RunError: If optuna is missing, or processes were launched for one run together.
    """
    if find_spec("optuna") is None:
        raise RunError(Mistake("", "optuna is not installed", "Install it: pip install hf_mtl[search]"))
    if launched() is not None:
        problem = "was launched as several processes of one run"
        remedy = "Start it alone, with --workers N, or start it on each machine: they share its folder."
        raise RunError(Mistake("sweep", problem, remedy))


def _close(sweep: Sweep, studies: Studies) -> dict[str, Any]:
    found = answer(sweep, studies)
    for arm in sweep.arms:
        if (chosen := found["arms"][arm.name]["chosen"]) is not None:
            write_overlay(sweep, arm, chosen)
    write_answer(sweep.output_dir, found, studies.results.all(), sweep.startup)
    return found


def list_sweep(sweep: Sweep) -> str:
    """Say how far a sweep is; writes nothing.

    Args:
        sweep: The sweep.
    """
    if not (sweep.output_dir / RECORD).exists():
        return state_table(sweep, [], {})
    take(sweep)
    studies = Studies(sweep, identity(sweep))
    records = [record for record in studies.results.all() if record["kind"] == "trial"]
    running = {
        arm.name: sum(not trial.state.is_finished() for trial in studies.trials(arm.name)) for arm in sweep.arms
    }
    return state_table(sweep, records, running)
