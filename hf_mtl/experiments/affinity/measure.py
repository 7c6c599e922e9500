"""A recipe becomes affinities of its tasks, a proposal of groups, and the files that keep them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.course import Course
from hf_mtl.data.streams import Streams
from hf_mtl.errors import Mistake, RunError, UserError, known
from hf_mtl.experiments.affinity.grouping import partition_value, propose_groups
from hf_mtl.experiments.affinity.joint import SHARE, JointRun, given_run, train_shortly
from hf_mtl.experiments.affinity.linearised import linearised
from hf_mtl.experiments.affinity.lookahead import ROWS, sampled_lookaheads
from hf_mtl.experiments.affinity.matrix import AffinityMatrix, mean_and_error
from hf_mtl.experiments.affinity.subject import Subject
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import padding_id, row_limit
from hf_mtl.inference.runs import load_model
from hf_mtl.launched import of_whoever_trains
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.processes import Processes
from hf_mtl.progress import no_bars
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.training.run.prepare import Prepared, load_data, make_arguments, output_dir, prepare
from hf_mtl.training.run.taken import with_known_outputs

Method = Literal["lookahead", "linearised"]
RESULT = "affinity.json"

_NOT_TRAINED: dict[str, Any] = {
    "report_to": "none",
    "push_to_hub": False,
    "eval_strategy": "no",
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "early_stopping_patience": None,
}


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
        together: The value of one group of all; that of every task alone is 0.
        joint: The joint run.
        looked: Operations of looking at it.
        recipe_steps: Optimizer steps of the recipe.
        details: What the method tells beside, by name.
        folder: Where all of it is written.
    """

    affinity: AffinityMatrix
    groups: list[list[str]]
    value: float
    together: float
    joint: JointRun
    looked: float
    recipe_steps: int
    details: dict[str, float]
    folder: Path

    @property
    def spent(self) -> float:
        """The operations of all that was done for it."""
        return self.looked + ((self.joint.flops or 0.0) if self.joint.trained_here else 0.0)

    @property
    def recipe_flops(self) -> float | None:
        """The operations of one training run of the recipe, by what a step of the joint run takes; None: unknown."""
        return self.joint.flops_of(self.recipe_steps)


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
    args = make_arguments(recipe, **_NOT_TRAINED, **of_whoever_trains())
    with no_bars(args.disable_tqdm):
        joint, steps = _joint_run(target, overrides, recipe, args, folder, asked)
        affinity, looked, details = _measure(recipe, args, joint, asked)
    groups = propose_groups(affinity.values, asked.groups, args.seed)
    together = partition_value(affinity.values, [range(len(affinity.tasks))])
    found = Found(
        affinity=affinity,
        groups=[[affinity.tasks[place] for place in group] for group in groups],
        value=partition_value(affinity.values, groups),
        together=together,
        joint=joint,
        looked=looked,
        recipe_steps=steps,
        details=details,
        folder=folder,
    )
    from hf_mtl.experiments.affinity.report import write

    write(found)
    return found


def _refuse_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunError(Mistake("-o", f"{folder}: is a file", "Name a folder"))
    if (folder / RESULT).exists():
        found = f"{folder / RESULT}: affinities were measured there already"
        raise RunError(Mistake("-o", found, "Name another folder, or move it away"))


def _joint_run(
    target: str | Path,
    overrides: Sequence[str],
    recipe: Recipe,
    args: MultiTaskTrainingArguments,
    folder: Path,
    asked: Asked,
) -> tuple[JointRun, int]:
    """Find the joint run, or train it; and say how many steps the recipe has."""
    given = None if asked.checkpoint is None else given_run(asked.checkpoint)
    if given is not None:
        model = load_model(given.model)
        prepared = _prepared(recipe, args, model, given.model)
    else:
        prepared = prepare(recipe, args, tokenizer_folder=None)
        model = prepared.new_model()
    train = _encoded(prepared, model, "train")
    streams = Streams.of(train)
    sizes = {name: len(split) for name, split in train.items()}
    steps = Course(args, sizes, Processes(), rows=sum(streams.sizes.values())).total_steps
    if given is not None:
        return given, steps
    Subject(model, train, {}, padding_id(model, prepared.tokenizer), args.seed)  # refuses what could not be looked at
    short = min(steps, max(1, steps // SHARE)) if asked.steps is None else asked.steps
    return train_shortly(target, overrides, folder / "joint", short, asked.allow_code), steps


def _prepared(recipe: Recipe, args: MultiTaskTrainingArguments, model: MultiTaskModel, folder: Path) -> Prepared:
    """Load the recipe's data for a model that is trained."""
    trained = recipe.trained_tasks
    mistakes = [
        Mistake(f"tasks.{name}", f"{folder} has no such task", known(model.tasks, name))
        for name in trained
        if name not in model.tasks
    ]
    mistakes += [
        Mistake(f"tasks.{name}.type", f"is {task.type}, and in {folder} {model.tasks[name].type}", "Give that type")
        for name, task in trained.items()
        if name in model.tasks and model.tasks[name].type != task.type
    ]
    if mistakes:
        raise RunError(recipe.with_places(mistakes))
    tasks = {name: with_known_outputs(task, model.tasks[name]) for name, task in trained.items()}
    seed = args.data_seed if args.data_seed is not None else args.seed
    return Prepared(recipe, args, load_data(recipe, seed, tasks=tasks), read_tokenizer(str(folder)))


def _encoded(prepared: Prepared, model: MultiTaskModel, split: str) -> dict[str, Any]:
    rows = {name: found for name, found in prepared.split(split).items() if name in prepared.split("train")}
    return encode_splits(rows, model.tasks, prepared.tokenizer, row_limit(model, prepared.tokenizer), split)


def _measure(
    recipe: Recipe, args: MultiTaskTrainingArguments, joint: JointRun, asked: Asked
) -> tuple[AffinityMatrix, float, dict[str, float]]:
    """Look at the joint run; return affinities, the operations of looking, and what the method tells beside."""
    model = load_model(joint.model)
    prepared = _prepared(recipe, args, model, joint.model)
    train = _encoded(prepared, model, "train")
    pad, names = padding_id(model, prepared.tokenizer), tuple(train)
    if asked.method == "linearised":
        validation = _encoded(prepared, model, "validation")
        subject = Subject(model.to(args.device), train, validation, pad, args.seed)
        found = linearised(subject, asked.rows, args.seed)
        details = {"ridge": found.ridge, "groups_fitted": found.groups, "rows": asked.rows}
        return AffinityMatrix(names, found.values, found.errors, asked.method), subject.flops, details
    del model
    each = max(1, round(asked.rows / ROWS / len(joint.stages)))
    samples, looked = [], 0.0
    for stage in joint.stages:
        subject = Subject(load_model(stage).to(args.device), train, {}, pad, args.seed)
        samples += sampled_lookaheads(subject, each, args.learning_rate, min(ROWS, asked.rows))
        looked += subject.flops
    values, errors = mean_and_error(samples)
    details = {"batches": len(samples), "rate": args.learning_rate, "stages": len(joint.stages)}
    return AffinityMatrix(names, values, errors, asked.method), looked, details
