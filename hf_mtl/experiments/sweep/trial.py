"""A trial: an ordinary run of a recipe with drawn values, and what it has come to."""

import gc
import math
import time
from typing import Any

import torch

from hf_mtl.errors import DiskError, DivergedError, HfMtlError, LostProcessError, UserError, one_line
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.metric import OF_ALL, value_of
from hf_mtl.experiments.sweep.pruning import PruneCallback, Pruned
from hf_mtl.experiments.sweep.studies import Job
from hf_mtl.experiments.workers import output_kept
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.training import run_recipe
from hf_mtl.training.folder.run_folder import RunFolder

_OF_THE_MACHINE = (DiskError, LostProcessError)
"""Errors that say nothing of the values that were drawn, and that the next trial would meet too."""
_SPENT = ("flops", "backward_passes")


def run_trial(sweep: Sweep, job: Job) -> Record:
    """Run a trial, or go on with it where a worker that ended has left it.

    The default is never pruned: it is what the chosen trial is compared with.

    Args:
        sweep: The sweep.
        job: The trial.

    Returns:
        Its record, whose ``state`` is ``complete``, ``pruned`` or ``failed``; of the last ``why`` says the reason.

    Raises:
        DiskError: If the disk is full, or no file can be written: the trial goes on another time.
        Stopped: If a signal has come; likewise.
    """
    began = time.perf_counter()
    ended: dict[str, Any]
    try:
        ended = _scored(_run(sweep, job), sweep.metric)
    except Pruned as pruned:
        why = f"given up after step {pruned.step}"
        ended = {"state": "pruned", "value": None, "why": why, "last": pruned.value}
    except _OF_THE_MACHINE:
        raise
    except Exception as error:  # whatever drawn values bring about, memory that does not suffice too
        ended = {"state": "failed", "value": None, "why": _why(error)}
    gc.collect()  # models lie in circles, and the next one needs their memory
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    key = {"kind": "trial", "arm": job.arm.name, "trial": job.number, "stage": job.stage, "values": job.values}
    return {
        **key,
        "metric": sweep.metric,
        **ended,
        **_spent(RunFolder(job.folder)),
        "wall": round(time.perf_counter() - began, 1),
        "folder": job.folder.relative_to(sweep.output_dir).as_posix(),
    }


def _run(sweep: Sweep, job: Job) -> dict[str, Any]:
    # The default is the arm as it is, though the study knows its values.
    recipe = job.arm.trial(job.drawn if job.number > 0 else {}, job.folder)
    prunes = sweep.pruning is not None and job.number > 0
    callbacks = [PruneCallback(job.trial, f"eval_{sweep.metric}", prunes)] if sweep.pruning is not None else []
    with output_kept(job.folder):
        return run_recipe(recipe, resume=RunFolder(job.folder).exists, callbacks=callbacks)


def _scored(results: dict[str, Any], metric: str) -> dict[str, Any]:
    value = value_of(results, metric)
    scores = {"validation": results["tasks"], **{key: results.get(key) for key in OF_ALL}}
    course = {key: results.get(key) for key in ("step", "trained_steps", "ended_by")}
    if value is None or not math.isfinite(value):
        why = f"the validation score {metric} is undefined, or there are no rows for it"
        return {"state": "failed", "value": None, "why": why, **scores, **course}
    return {"state": "complete", "value": value, "why": "", **scores, **course}


def _why(error: Exception) -> str:
    if isinstance(error, UserError):
        return " ".join(str(mistake) for mistake in error.mistakes)
    if isinstance(error, DivergedError | HfMtlError):
        return one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"


def _spent(folder: RunFolder) -> dict[str, Any]:
    """Return what a run has spent by its log, as far as it got."""
    records = read_jsonl(folder.log) if folder.log.exists() else []
    return {key: next((item[key] for item in reversed(records) if key in item), None) for key in _SPENT}
