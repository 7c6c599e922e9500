"""A recipe becomes affinities of its tasks, a proposal of groups, and the files that keep them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from hf_mtl.errors import Mistake, RunError, UserError
from hf_mtl.experiments.affinity.grouping import partition_value, partition_weights, propose_groups
from hf_mtl.experiments.affinity.joint import JointRun
from hf_mtl.experiments.affinity.linearised import linearised
from hf_mtl.experiments.affinity.lookahead import ROWS, sampled_lookaheads
from hf_mtl.experiments.affinity.looked_at import LookedAt, look_at_given, look_at_new
from hf_mtl.experiments.affinity.matrix import AffinityMatrix, Matrix, error_of_sum, mean_and_error
from hf_mtl.inference.runs import load_model
from hf_mtl.launched import of_whoever_trains
from hf_mtl.progress import no_bars
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments, output_dir
from hf_mtl.training.run.untrained import NOT_TRAINED

Method = Literal["lookahead", "linearised"]
RESULT = "affinity.json"


@dataclass(frozen=True)
class Asked:
    """What is asked of a recipe.

    Args:
        method: ``lookahead``: what a step along one task's gradient does to all losses, at several checkpoints;
            ``linearised``: linear models of groups at the last one.
        checkpoint: A joint run of the tasks, or a checkpoint of one; None: a short one is trained.
        steps: Optimizer steps of that; None: a fifth of the recipe's.
        groups: The most groups of the proposal; None: as many as tasks.
        rows: Training rows of each task that are looked at, and for ``linearised`` as many validation rows.
        output: Folder of what is written; None: that of the recipe's run, and ``-affinity``.
        allow_code: As for `load_recipe`.
    """

    method: Method = "linearised"
    checkpoint: str | None = None
    steps: int | None = None
    groups: int | None = None
    rows: int = 200
    output: Path | None = None
    allow_code: bool = False

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: Naming all of them.
        """
        numbers = {"--groups": self.groups, "--steps": self.steps, "--rows": self.rows}
        mistakes = [
            Mistake(name, f"is {value}", "Allowed: 1 or more")
            for name, value in numbers.items()
            if value is not None and value < 1
        ]
        if self.steps is not None and self.checkpoint is not None:
            mistakes.append(Mistake("--steps", "found with --checkpoint, where nothing is trained", "Leave one out"))
        if mistakes:
            raise UserError(mistakes)


@dataclass(frozen=True)
class Found:
    """What was found.

    Args:
        affinity: The affinities.
        groups: The tasks of each group of the proposal.
        value: Its value: the sum over tasks of the mean affinity of the others of its group to it.
        value_error: The standard error of that, of this partition: not of how it was chosen among others.
        together: The value of one group of all; that of every task alone is 0.
        joint: The joint run.
        looked: Operations of looking at it.
        recipe_steps: Optimizer steps of the recipe.
        recipe_flops: The operations of one training run of it; None: unknown.
        details: What the method tells beside, by name.
        folder: Where all of it is written.
    """

    affinity: AffinityMatrix
    groups: list[list[str]]
    value: float
    value_error: float
    together: float
    joint: JointRun
    looked: float
    recipe_steps: int
    recipe_flops: float | None
    details: dict[str, float]
    folder: Path

    @property
    def spent(self) -> float:
        """The operations of all that was done for it."""
        return self.looked + ((self.joint.flops or 0.0) if self.joint.trained_here else 0.0)


class Measured(NamedTuple):
    """Affinities, the standard error of a weighted sum of them, the operations of measuring them, and what the method
    tells beside.
    """

    affinity: AffinityMatrix
    error_of_sum: Callable[[Matrix], float]
    flops: float
    details: dict[str, float]


def find_affinity(target: str | Path, overrides: Sequence[str] = (), asked: Asked = Asked()) -> Found:
    """Measure which tasks of a recipe should train together, propose groups, and write both.

    Args:
        target: The recipe.
        overrides: ``key=value`` that replace keys of it.
        asked: What is asked.

    Returns:
        What was found; ``affinity.json``, ``affinity.png`` and ``proposal.json`` are in its folder.

    Raises:
        UserError: If the recipe, the run or the folder cannot be used; nothing is written then.
    """
    asked.check()
    recipe = load_recipe(target, overrides, asked.allow_code)
    folder = asked.output or Path(f"{output_dir(recipe)}-affinity")
    _refuse_place(folder)
    args = make_arguments(recipe, **NOT_TRAINED, **of_whoever_trains())
    if asked.method == "lookahead" and args.learning_rate == 0:
        key, problem = "training.learning_rate", "is 0, and is how far a lookahead goes: every affinity would be 0"
        raise UserError(recipe.with_places([Mistake(key, problem, "Give the rate that the tasks are trained with")]))
    with no_bars():
        if asked.checkpoint is None:
            reads = asked.method == "linearised"
            looked_at = look_at_new(target, overrides, recipe, args, folder / "joint", asked.steps, reads)
        else:
            looked_at = look_at_given(recipe, args, asked.checkpoint)
        measured = _linearised(looked_at, asked) if asked.method == "linearised" else _lookahead(looked_at, asked)
    found = _proposed(measured, looked_at, folder, asked)
    from hf_mtl.experiments.affinity.report import write

    write(found)
    return found


def _proposed(measured: Measured, looked_at: LookedAt, folder: Path, asked: Asked) -> Found:
    """Add the proposal."""
    affinity = measured.affinity
    groups = propose_groups(affinity.values, asked.groups, looked_at.prepared.args.seed)
    return Found(
        affinity=affinity,
        groups=[[affinity.tasks[place] for place in group] for group in groups],
        value=partition_value(affinity.values, groups),
        value_error=measured.error_of_sum(partition_weights(len(affinity.tasks), groups)),
        together=partition_value(affinity.values, [range(len(affinity.tasks))]),
        joint=looked_at.joint,
        looked=measured.flops,
        recipe_steps=looked_at.steps,
        recipe_flops=looked_at.recipe_flops,
        details=measured.details,
        folder=folder,
    )


def _refuse_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunError(Mistake("-o", f"{folder}: is a file", "Name a folder"))
    if (folder / RESULT).exists():
        found = f"{folder / RESULT}: affinities were measured there already"
        raise RunError(Mistake("-o", found, "Name another folder, or move it away"))


def _linearised(looked_at: LookedAt, asked: Asked) -> Measured:
    """Measure by linear models at the last model of the joint run."""
    subject = looked_at.subject(looked_at.model, validation=True)
    found = linearised(subject, asked.rows, looked_at.prepared.args.seed)
    details = {"rows": asked.rows, "ridge": found.ridge, "groups_fitted": found.groups}
    affinity = AffinityMatrix(tuple(subject.tasks), found.values, found.errors, asked.method)
    return Measured(affinity, found.error_of_sum, subject.flops, details)


def _lookahead(looked_at: LookedAt, asked: Asked) -> Measured:
    """Measure by lookaheads at several models of the joint run, on as many batches at each."""
    stages, rate = looked_at.joint.stages, looked_at.prepared.args.learning_rate
    rows = min(ROWS, asked.rows)
    each = max(1, round(asked.rows / rows / len(stages)))
    samples: list[Matrix] = []
    flops = 0.0
    for stage in stages:
        subject = looked_at.subject(load_model(stage), validation=False)
        samples += sampled_lookaheads(subject, each, rate, rows)
        flops += subject.flops
    values, errors = mean_and_error(samples)
    details = {"batches": len(samples), "rows": rows, "rate": rate, "stages": len(stages)}
    affinity = AffinityMatrix(tuple(subject.tasks), values, errors, asked.method)
    return Measured(affinity, partial(error_of_sum, samples), flops, details)
