"""A worker: runs trials of a sweep until none is left for it."""

from collections.abc import Callable

from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.studies import Job, Studies

RunTrial = Callable[[Sweep, Job], Record]
Say = Callable[[Record], None]


def work(sweep: Sweep, studies: Studies, run: RunTrial, say: Say = lambda record: None) -> None:
    """Run trials until all have ended or are run by others.

    Args:
        sweep: The sweep.
        studies: Its studies.
        run: Runs a trial, and returns its record.
        say: Is told of each.
    """
    while True:
        with studies.next() as job:
            if job is None:
                return
            record = run(sweep, job)
            studies.finish(job, record)
        say(record)
