"""The joint run whose checkpoints are looked at: one that is given, or a short one that is trained here."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hf_mtl.argument_conflicts import BY_SCORE
from hf_mtl.errors import CheckpointError, Mistake, RunError
from hf_mtl.inference.manifest import MODEL_CONFIG, verify
from hf_mtl.inference.runs import local_folder
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.training import run_recipe
from hf_mtl.training.checkpoint import checkpoints
from hf_mtl.training.folder.run_record import LOG
from hf_mtl.training.run.untrained import UNRECORDED

SHARE = 5
"""A run that is trained here has one of so many parts of the recipe's steps."""
CHECKPOINTS = 4
"""Checkpoints of it, and the most that are looked at."""


@dataclass(frozen=True)
class JointRun:
    """A joint run and its models.

    Args:
        model: The folder of its last model.
        stages: Models of it at several steps, the first one first; the last model alone where no other is kept.
        steps: Its optimizer steps, where its log says so.
        flops: Their floating point operations, likewise.
        trained_here: Whether it was trained to be looked at.
    """

    model: Path
    stages: tuple[Path, ...]
    steps: int | None
    flops: float | None
    trained_here: bool

    def flops_of(self, steps: int) -> float | None:
        """Estimate the operations of a run of so many steps; None where the log of this one says nothing."""
        return None if self.flops is None or not self.steps else self.flops / self.steps * steps


def given_run(name: str) -> JointRun:
    """Find the models of a run that is there.

    Args:
        name: A run's folder, one of its checkpoints, or another that `local_folder` takes.

    Raises:
        UserError: If there is no model.
    """
    folder = local_folder(name)
    whole = [path for path in reversed(checkpoints(folder)) if _is_whole(path)] if folder.is_dir() else []
    if not (folder / MODEL_CONFIG).is_file() and not whole:
        remedy = "Give the folder of a run of all tasks or a checkpoint in it, or leave it out"
        raise RunError(Mistake("--checkpoint", f"{name}: holds no trained model", remedy))
    model = folder if (folder / MODEL_CONFIG).is_file() else whole[-1]
    steps, flops = _spent(model)
    return JointRun(model, tuple(_spread(whole)) or (model,), steps, flops, trained_here=False)


def _spent(model: Path) -> tuple[int, float] | tuple[None, None]:
    """Read from the log of a run what its steps took; None, None: there is none, or it says nothing."""
    log = next((place / LOG for place in (model, model.parent) if (place / LOG).is_file()), None)
    records = [] if log is None else read_jsonl(log)
    # A run that is shorter than its logging has the record of its end alone.
    spent = [(record["step"], record.get("flops") or record.get("total_flos")) for record in records]
    return next(((int(step), float(flops)) for step, flops in reversed(spent) if flops), (None, None))


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder, needs=MODEL_CONFIG)
    except CheckpointError:
        return False
    return True


class Length(NamedTuple):
    """How long to train: optimizer steps, and the operations after which it ends before them; None: no limit."""

    steps: int
    flops: float | None


def train_shortly(
    target: str | Path, overrides: Sequence[str], folder: Path, length: Length, allow_code: bool
) -> JointRun:
    """Train the recipe's tasks jointly for a while, or go on with that where it was stopped.

    Args:
        target: The recipe.
        overrides: What is replaced in it.
        folder: The run's folder.
        length: How long.
        allow_code: As for `load_recipe`.

    Raises:
        UserError: As `run_recipe`; also where schedules follow evaluations, of which there are none.
    """
    short = _short(folder, length)
    if _follows_evaluations(load_recipe(target, overrides, allow_code)):
        short |= {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": None}  # as before its first evaluation
    words = [f"training.{key}={'' if value is None else json.dumps(value)}" for key, value in short.items()]
    run_recipe(load_recipe(target, [*overrides, *words], allow_code), resume=True)
    return replace(given_run(str(folder)), trained_here=True)


def _follows_evaluations(recipe: Recipe) -> bool:
    return recipe.training.options().get("lr_scheduler_type") in BY_SCORE


def _short(folder: Path, length: Length) -> dict[str, Any]:
    """Say how the short run differs from the recipe's: nothing is scored while it trains, and its models are kept."""
    return {
        **UNRECORDED,
        "output_dir": str(folder),
        "max_steps": length.steps,
        "max_flops": length.flops,
        "max_backward_passes": None,
        "save_strategy": "steps",
        "save_steps": math.ceil(length.steps / CHECKPOINTS),
        "save_total_limit": None,
        "eval_strategy": "no",
        "metric_for_best_model": None,
        "greater_is_better": None,
        "disable_tqdm": True,
    }


def _spread(stages: Sequence[Path]) -> list[Path]:
    """Keep at most so many of some models, evenly, with the last one."""
    places = np.linspace(0, len(stages) - 1, min(len(stages), CHECKPOINTS))
    return [stages[place] for place in np.round(places).astype(int)]
