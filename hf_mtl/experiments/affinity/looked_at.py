"""What affinities are measured on: the models of a joint run, and the rows of a recipe as these read them."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.course import Course
from hf_mtl.data.streams import Streams
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, RunError, known
from hf_mtl.experiments.affinity.joint import SHARE, JointRun, Length, given_run, train_shortly
from hf_mtl.experiments.affinity.linearised import refuse_without_validation
from hf_mtl.experiments.affinity.same_model import other_parts
from hf_mtl.experiments.affinity.subject import Subject
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import padding_id, row_limit
from hf_mtl.inference.runs import load_model
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.processes import Processes
from hf_mtl.recipe import Recipe
from hf_mtl.training.run.prepare import Prepared, load_data, prepare
from hf_mtl.training.run.taken import with_known_outputs
from hf_mtl.training.watch.budget import limit_steps


@dataclass(frozen=True)
class LookedAt:
    """A joint run of a recipe, and the recipe's rows.

    Args:
        joint: The joint run.
        prepared: The recipe's data and the tokenizer.
        model: The last model of the joint run.
        steps: Optimizer steps of the recipe, where no limit of operations ends it before.
    """

    joint: JointRun
    prepared: Prepared
    model: MultiTaskModel
    steps: int

    @property
    def recipe_flops(self) -> float | None:
        """The operations of one training run of the recipe, by what a step of the joint run takes; None: unknown."""
        found, most = self.joint.flops_of(self.steps), self.prepared.args.max_flops
        return found if found is None or most is None else min(found, most)

    def subject(self, model: MultiTaskModel, validation: bool) -> Subject:
        """Put one of the run's models and the rows together.

        Args:
            model: The model.
            validation: Whether validation rows are asked for too.

        Raises:
            UserError: If it cannot be looked at.
        """
        args = self.prepared.args
        train = encoded(self.prepared, model, "train")
        read = encoded(self.prepared, model, "validation") if validation else {}
        pad = padding_id(model, self.prepared.tokenizer)
        return Subject(model.to(args.device), train, read, pad, args.seed)


def look_at_given(recipe: Recipe, args: MultiTaskTrainingArguments, run: str) -> LookedAt:
    """Look at a run that is there. Its balancing, mixture and length may be others than the recipe's.

    Args:
        recipe: The recipe, for its rows.
        args: Its training arguments.
        run: The run, or one of its checkpoints.

    Raises:
        UserError: If there is no model, or it has not the recipe's tasks, or another encoder or other heads.
    """
    joint = given_run(run)
    model = load_model(joint.model)
    if mistakes := [*_other_tasks(recipe, model, joint.model), *other_parts(recipe, model, joint.model)]:
        raise RunError(recipe.with_places(mistakes))
    tasks = {name: with_known_outputs(task, model.tasks[name]) for name, task in recipe.trained_tasks.items()}
    seed = args.data_seed if args.data_seed is not None else args.seed
    data = load_data(recipe, seed, tasks=tasks)
    prepared = Prepared(recipe, args, data, read_tokenizer(str(joint.model)))
    return LookedAt(joint, prepared, model, _steps(args, encoded(prepared, model, "train")))


def look_at_new(
    target: str | Path,
    overrides: Sequence[str],
    recipe: Recipe,
    args: MultiTaskTrainingArguments,
    folder: Path,
    steps: int | None,
    validation: bool,
) -> LookedAt:
    """Train for a while what is to be looked at.

    Args:
        target: The recipe.
        overrides: What is replaced in it.
        recipe: The same, loaded.
        args: Its training arguments.
        folder: Where the run goes.
        steps: Its optimizer steps; None: a fifth of the recipe's.
        validation: Whether validation rows of every task will be asked for.

    Raises:
        UserError: If the recipe cannot be trained so, or its model not be looked at; before anything is written.
    """
    first = prepare(recipe, args, tokenizer_folder=None)
    untrained = first.new_model()
    train = encoded(first, untrained, "train")
    Subject(untrained, train, {}, padding_id(untrained, first.tokenizer), args.seed)  # refuses what it would later
    if validation:
        refuse_without_validation(train, {name: len(rows) for name, rows in first.split("validation").items()})
    whole = _steps(args, train)
    short = Length(max(1, whole // SHARE), None if args.max_flops is None else args.max_flops / SHARE)
    joint = train_shortly(
        target, overrides, folder, short if steps is None else Length(steps, None), recipe.allow_code
    )
    prepared = Prepared(recipe, args, first.data, read_tokenizer(str(joint.model)))
    return LookedAt(joint, prepared, load_model(joint.model), whole)


def encoded(prepared: Prepared, model: MultiTaskModel, split: str) -> dict[str, EncodedSplit]:
    """Tokenise a split of every task that is trained, as a model of it reads them."""
    trained = prepared.split("train")
    rows = {name: found for name, found in prepared.split(split).items() if name in trained}
    return encode_splits(rows, model.tasks, prepared.tokenizer, row_limit(model, prepared.tokenizer), split)


def _steps(args: MultiTaskTrainingArguments, train: dict[str, EncodedSplit]) -> int:
    sizes = {name: len(split) for name, split in train.items()}
    args = copy(args)
    limit_steps(args)
    return Course(args, sizes, Processes(), rows=sum(Streams.of(train).sizes.values())).total_steps


def _other_tasks(recipe: Recipe, model: MultiTaskModel, folder: Path) -> Iterator[Mistake]:
    """Find the recipe's tasks that a model does not have."""
    for name, task in recipe.trained_tasks.items():
        if name not in model.tasks:
            yield Mistake(f"tasks.{name}", f"{folder} has no such task", known(model.tasks, name))
        elif model.tasks[name].type != task.type:
            theirs = model.tasks[name].type
            yield Mistake(f"tasks.{name}.type", f"is {task.type}, and {folder} has {theirs}", f"Give {theirs}")
