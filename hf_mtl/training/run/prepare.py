"""A recipe becomes data, tokenizer, model and Trainer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import set_seed

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.cache import filling_datasets
from hf_mtl.data.imbalance import Imbalance
from hf_mtl.data.load import load_tasks, say_notes
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.overlap import overlap_notes
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.errors import RecipeError, UserError
from hf_mtl.evaluation import Trust
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import check_token_ids, row_limit
from hf_mtl.launched import environment_mistakes, launcher_mistakes
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.kept import Taken
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import Task
from hf_mtl.training.interruption import ending_at_once
from hf_mtl.training.run.taken import as_kept, take_up
from hf_mtl.training.run.tokenizer import load_tokenizer
from hf_mtl.training.scoring.scorer import Scorer
from hf_mtl.training.trainer.argument_checks import check_training
from hf_mtl.training.trainer.trainer import MultiTaskTrainer


@contextmanager
def located(recipe: Recipe) -> Iterator[None]:
    """Say where in the recipe a mistake was made that only shows later."""
    try:
        yield
    except UserError as error:
        raise type(error)(recipe.with_places(error.mistakes)) from error


def output_dir(recipe: Recipe) -> str:
    """Return the folder of a recipe's run."""
    return str(recipe.training.options().get("output_dir") or "runs/hf_mtl")


def make_arguments(recipe: Recipe, **changes: Any) -> MultiTaskTrainingArguments:
    """Make the training arguments of a recipe.

    Args:
        recipe: The recipe.
        changes: Arguments that replace the recipe's.

    Raises:
        RecipeError: If the arguments do not fit together.
    """
    # Which the arguments would read to join the other processes.
    if mistakes := [*environment_mistakes(), *launcher_mistakes()]:
        raise RecipeError(mistakes)
    options = {**recipe.training.options(), "output_dir": output_dir(recipe), **changes}
    try:
        args = MultiTaskTrainingArguments(**options)
    except UserError as error:
        raise RecipeError(recipe.with_places(error.mistakes)) from error
    with ending_at_once():
        _ = args.device  # joins the other processes, which take turns at the data from here on
    if mistakes := check_training(args):
        raise RecipeError(recipe.with_places(mistakes))
    return args


@dataclass(frozen=True)
class Prepared:
    """All that a recipe needs before a model is there.

    Args:
        recipe: The recipe.
        args: Its training arguments.
        data: Its data, by task.
        tokenizer: Its tokenizer.
        taken: The tasks that it keeps from its backbone; None: none, or the model is there already.
    """

    recipe: Recipe
    args: MultiTaskTrainingArguments
    data: Mapping[str, LoadedTask]
    tokenizer: Any
    taken: Taken | None = None

    def split(self, name: str) -> dict[str, Dataset]:
        """Give one split of every task that has it."""
        return {task: loaded.splits[name] for task, loaded in self.data.items() if name in loaded.splits}

    @property
    def resting(self) -> list[str]:
        """Name the tasks that are kept as they are, as they have no rows to train on."""
        kept = [] if self.taken is None else self.taken.names.values()
        return [name for name in kept if name not in self.split("train")]

    @property
    def overlaps(self) -> tuple[Overlap, ...] | None:
        """Return which rows to score stand in training rows of any task; None: nobody has looked."""
        if self.recipe.data.contamination == "off":
            return None
        return tuple(overlap for item in self.data.values() for overlap in item.overlaps)

    @property
    def imbalance(self) -> Imbalance | None:
        """Return the ratio in which the training rows of the tasks were drawn; None: in none."""
        return next((item.imbalance for item in self.data.values()), None)

    @property
    def draws(self) -> list[dict[str, Any]]:
        """Return which keys left training rows out, of which tasks and how many, as ``results.json`` has it."""
        return [{"task": name, **asdict(draw)} for name, item in self.data.items() for draw in item.draws]

    def new_model(self) -> MultiTaskModel:
        """Return the model before training."""
        section = self.recipe.model
        set_seed(self.args.seed)
        backbone = section.backbone
        if isinstance(backbone, Mapping):
            # An inline config describes a new encoder: its vocabulary is the tokenizer's.
            backbone = {"vocab_size": len(self.tokenizer), "pad_token_id": self.tokenizer.pad_token_id, **backbone}
        with located(self.recipe):
            return MultiTaskModel.from_backbone(
                backbone,
                tasks={name: loaded.task for name, loaded in self.data.items()},
                head=section.head,
                pooling=section.pooling,
                dropout=section.dropout,
                max_length=section.max_length,
                peft=section.peft,
                freeze=section.freeze,
                keep_tasks=section.keep_tasks,
                drop_tasks=section.drop_tasks,
                save_heads_only=section.save_heads_only,
            )

    def check_rows(self, split: str, model: MultiTaskModel, scored: bool = False) -> None:
        """Refuse before training what scoring a split with the model would refuse after it.

        Raises:
            UserError: If rows of the split cannot be used.
        """
        with located(self.recipe):
            limit = row_limit(model, self.tokenizer)
            encoded = encode_splits(self.split(split), model.tasks, self.tokenizer, limit, split)
            check_token_ids(model, encoded, self.tokenizer)
            if scored:
                unseen = {name: item for name, item in encoded.items() if name not in self.split("validation")}
                Scorer(model.tasks, Trust.of(self.recipe.allow_code)).check(unseen)

    def trainer(self, model: MultiTaskModel, to_train: bool = True, **kwargs: Any) -> MultiTaskTrainer:
        """Return the Trainer of a model; one that only evaluates needs no training rows."""
        with located(self.recipe):
            return MultiTaskTrainer(
                model=model,
                args=self.args,
                train_dataset=self.split("train") if to_train else None,
                eval_dataset=self.split("validation") if to_train else None,
                processing_class=self.tokenizer,
                data=self.recipe.data,
                mixture=self.recipe.mixture,
                balancing=self.recipe.balancing,
                schedules=self.recipe.schedules,
                allow_code=self.recipe.allow_code,
                **kwargs,
            )


def note_unscored(results: dict[str, Any], prepared: Prepared, split: str) -> None:
    """Say which tasks are not among the results of a split.

    Args:
        results: As in ``results.json``; takes ``notes``.
        prepared: The run's data.
        split: The split that was scored.
    """
    for name in prepared.data:
        if name not in results["tasks"]:
            results["notes"].append(f"{name}: there are no {split} rows with a label, so nothing can be scored.")


def load_data(
    recipe: Recipe,
    seed: int,
    to_train: bool = True,
    tasks: Mapping[str, Task] | None = None,
    beside: Mapping[str, Task] | None = None,
) -> dict[str, LoadedTask]:
    """Load and check the data of all tasks, and say what was left out or made up on the way.

    Args:
        recipe: The recipe.
        seed: Seed of the draws of rows, but for those that ``data.carving_seed`` draws.
        to_train: Say, or refuse, rows to score that stand in training rows. A trained model may have learned from
            others.
        tasks: The recipe's tasks with what is known of them; None: as the recipe has them.
        beside: Tasks that are carved with them, and not loaded, beside those that the recipe names.

    Raises:
        DataError: With the mistakes of all tasks and where in the recipe they were made.
    """
    contamination = recipe.data.contamination
    if contamination == "error" and not to_train:
        contamination = "off"
    with located(recipe), filling_datasets():
        given = recipe.tasks if tasks is None else tasks
        others = {**recipe.data.beside, **(beside or {})}
        spec = recipe.data
        data = load_tasks(
            given, seed, contamination, spec.imbalance, recipe.allow_code, others, spec.fold, spec.carving_seed
        )
    for loaded in data.values():
        say_notes([*loaded.notes, *(overlap_notes(loaded.overlaps) if to_train else [])])
    return data


def prepare(recipe: Recipe, args: MultiTaskTrainingArguments, tokenizer_folder: Path | None) -> Prepared:
    """Load everything but the model.

    Args:
        recipe: The recipe.
        args: Its training arguments.
        tokenizer_folder: Where the run has kept a tokenizer that it trained on its texts; None: nowhere yet.

    Raises:
        UserError: If the data or the tokenizer cannot be used.
    """
    with located(recipe):
        taken = take_up(recipe)
        tasks = as_kept(recipe, taken)
    data = load_data(recipe, seed=args.data_seed if args.data_seed is not None else args.seed, tasks=tasks)
    with located(recipe):
        tokenizer = load_tokenizer(recipe.model, data, tokenizer_folder)
    return Prepared(recipe, args, data, tokenizer, taken)
