"""What arguments a MultiTaskTrainer cannot work with, said before anything is done."""

from collections.abc import Mapping, Sized
from typing import Any

from torch import nn
from transformers.training_args import ParallelMode

from hf_mtl.argument_fields import refused_fields
from hf_mtl.argument_ranges import AT_LEAST_ONE, AT_MOST, MOST_STEPS, NOT_NEGATIVE
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError, Mistake, UserError, known
from hf_mtl.evaluation import absent_classes, greater_is_better, metric_keys, undefined_metrics
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.argument_effects import idle_options, unbuildable
from hf_mtl.training.launch import launch_mistakes
from hf_mtl.training.temperatures import has_temperature

logger = get_logger(__name__)

_ELSEWHERE = {
    "data_collator": "hf_mtl plans and collates its own batches",
    "compute_loss_func": "set `loss` on the task",
    "model_init": "build the model with MultiTaskModel.from_backbone",
    "preprocess_logits_for_metrics": "use compute_metrics",
}

_MOST_ROWS_OF_A_WINDOW = 10**8


def check_arguments(model: object, args: object, others: Mapping[str, Any]) -> None:
    """Refuse what cannot work, all of it at once.

    Raises:
        UserError: If the model or an argument does not fit a `MultiTaskTrainer`.
    """
    mistakes = [
        Mistake(key, "is not used by MultiTaskTrainer", reason)
        for key, reason in _ELSEWHERE.items()
        if others.get(key) is not None
    ]
    if not isinstance(model, MultiTaskModel):
        remedy = "Give a MultiTaskModel; see MultiTaskModel.from_backbone"
        if isinstance(getattr(model, "base_model", None), nn.Module) and hasattr(model, "peft_config"):
            remedy += ", whose lora= puts peft's adapters into the encoder and leaves the heads whole"
        mistakes.append(Mistake("model", f"is a {type(model).__name__}", remedy))
    if isinstance(args, MultiTaskTrainingArguments):
        mistakes += check_training(args)
    else:
        mistakes.append(Mistake("args", f"are {type(args).__name__}", "Give MultiTaskTrainingArguments"))
    if mistakes:
        raise UserError(mistakes)


def check_training(args: MultiTaskTrainingArguments) -> list[Mistake]:
    """Arguments that cannot work, or cannot mean here what they mean to the Trainer."""
    refused = [
        (
            bool(args.fsdp) and args.parallel_mode != ParallelMode.DISTRIBUTED,
            "fsdp",
            f"is {args.fsdp!r}, and there is one process",
            "Start several with `accelerate launch`, or leave it out",
        ),
        (args.n_gpu > 1, "n_gpu", f"this one process sees {args.n_gpu} GPUs", "Start it with `accelerate launch`"),
        (
            args.early_stopping_patience is not None
            and (args.eval_strategy == "no" or args.metric_for_best_model is None),
            "early_stopping_patience",
            "is set, but there is nothing to watch",
            "Set eval_strategy, and metric_for_best_model (such as average, macro, worst or <task>_<metric>)",
        ),
    ]
    mistakes = [Mistake(f"training.{key}", found, remedy) for wrong, key, found, remedy in refused if wrong]
    found = [*launch_mistakes(args), *refused_fields(vars(args)), *mistakes]
    return [*found, *_out_of_range(args), *_too_large(args), *idle_options(args), *unbuildable(args)]


def search_unused(args: MultiTaskTrainingArguments) -> None:
    """Let DDP look for parameters without a gradient: tasks may be absent from a step, and groups frozen in it.

    The Trainer does so too, but not together with gradient checkpointing, where it is only the reentrant kind, no
    longer transformers' default, that does not allow it.
    """
    reentrant = (args.gradient_checkpointing_kwargs or {}).get("use_reentrant", False)
    if args.ddp_find_unused_parameters is None and not reentrant:
        args.ddp_find_unused_parameters = True


def _out_of_range(args: MultiTaskTrainingArguments) -> list[Mistake]:
    """Numbers that would only fail, or silently do nothing, once training has begun."""
    limits = [(key, 1, "at least 1") for key in AT_LEAST_ONE] + [(key, 0, "0 or more") for key in NOT_NEGATIVE]
    mistakes = []
    for key, least, allowed in limits:
        value = getattr(args, key)
        if value is not None and value < least:
            mistakes.append(Mistake(f"training.{key}", f"is {value}", f"Allowed: {allowed}"))
    if args.max_grad_norm is None:
        mistakes.append(Mistake("training.max_grad_norm", "is None", "Set 0, which clips nothing"))
    for what in ("logging", "eval", "save"):
        steps = getattr(args, f"{what}_steps")
        if getattr(args, f"{what}_strategy") == "steps" and steps is not None and not steps > 0:
            mistakes.append(Mistake(f"training.{what}_steps", f"is {steps}", "Allowed: more than 0"))
    passes, each = args.max_backward_passes, args.gradient_accumulation_steps
    if passes is not None and passes < each:
        remedy = f"Allowed: at least the {each} of one step" if each > 1 else "Allowed: at least 1"
        mistakes.append(Mistake("training.max_backward_passes", f"is {passes}", remedy))
    if args.max_flops is not None and not args.max_flops > 0:
        mistakes.append(Mistake("training.max_flops", f"is {args.max_flops}", "Allowed: more than 0"))
    if not 0 <= args.seed < 2**32:
        mistakes.append(Mistake("training.seed", f"is {args.seed}", f"Allowed: 0 to {2**32 - 1}"))
    if args.max_steps < -1 or args.max_steps == 0:
        remedy = "Allowed: at least 1; leave it out to train for num_train_epochs"
        mistakes.append(Mistake("training.max_steps", f"is {args.max_steps}", remedy))
    if args.max_steps <= 0 and args.num_train_epochs <= 0 and passes is None:
        found = f"is {args.num_train_epochs}, and max_steps is not set"
        mistakes.append(Mistake("training.num_train_epochs", found, "Train for more than 0 epochs, or set max_steps"))
    return mistakes


def _too_large(args: MultiTaskTrainingArguments) -> list[Mistake]:
    """Numbers that would fill the memory with plans, or keep a machine busy with them."""
    mistakes = []
    for key, most in AT_MOST.items():
        value = getattr(args, key)
        if value is not None and value > most:
            mistakes.append(Mistake(f"training.{key}", f"is {value}", f"Allowed: at most {most:,}"))
    # On one process; rows are planned for all of them.
    rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.window_steps
    if not mistakes and rows > _MOST_ROWS_OF_A_WINDOW:
        found = f"is {args.window_steps}, and the plan of so many steps holds {rows:,} rows"
        remedy = f"Allowed: at most {_MOST_ROWS_OF_A_WINDOW:,}; lower it, or the rows of a step"
        mistakes.append(Mistake("training.window_steps", found, remedy))
    return mistakes


def check_length(total_steps: int) -> None:
    """Refuse a run of more steps than its plan can be followed through.

    Raises:
        UserError: If there are more than `MOST_STEPS`.
    """
    if total_steps > MOST_STEPS:
        found, remedy = f"gives a run of {total_steps:,} steps", f"Allowed: at most {MOST_STEPS:,} steps"
        raise UserError(Mistake("training.num_train_epochs", found, remedy))


def check_temperature_scaling(tasks: Mapping[str, Task], evaluation: Mapping[str, Sized]) -> None:
    """Refuse to train where temperatures could not be fitted afterwards.

    Args:
        tasks: The tasks that are trained.
        evaluation: The rows to fit them on, by task.

    Raises:
        UserError: If no task has one, or a task that has one has no rows.
    """
    key, fitted = "training.temperature_scaling", [name for name, task in tasks.items() if has_temperature(task)]
    missing = [name for name in fitted if not len(evaluation.get(name, ()))]
    if not fitted:
        raise UserError(Mistake(key, "is on, and no task is a classification", "Leave it off"))
    if missing:
        found = f"is on, and there are no evaluation rows of {', '.join(missing)}"
        raise UserError(Mistake(key, found, "Give them in eval_dataset"))


def check_scores(tasks: Mapping[str, Task], evaluation: Mapping[str, EncodedSplit]) -> None:
    """Refuse metrics that say nothing on the evaluation rows: early stopping and the best model would follow them.

    Args:
        tasks: The model's tasks.
        evaluation: The rows that will be evaluated on, by task.

    Raises:
        DataError: If a metric is undefined, or the same whatever is predicted; all of them at once.
    """
    mistakes = []
    for name, split in evaluation.items():
        labels = split.labels[split.scored]
        mistakes += undefined_metrics(tasks[name], name, labels, "validation")
        if is_main_process() and (absent := absent_classes(tasks[name], labels)):
            shown = ", ".join(f"'{label}'" for label in absent)
            logger.warning(f"{name}: no validation row is of class {shown}; it counts 0 in the mean over classes.")
    if mistakes:
        raise DataError(mistakes)


def set_direction(args: MultiTaskTrainingArguments, tasks: Mapping[str, Task]) -> None:
    """Say whether more of ``metric_for_best_model`` is better; the Trainer would guess it from the name's ending.

    Raises:
        UserError: If ``greater_is_better`` says the opposite.
    """
    wanted, directions = _watched(args), _directions(tasks)
    if wanted not in directions:
        return
    better = directions[wanted]
    guessed = not wanted.endswith("loss")
    # What is neither right nor the Trainer's guess, the user has written.
    if args.greater_is_better not in (None, better, guessed):
        found = (
            f"is {str(args.greater_is_better).lower()}, and {'more' if better else 'less'} of '{wanted}' is better"
        )
        raise UserError(Mistake("training.greater_is_better", found, "Leave it out"))
    args.greater_is_better = better


def check_best_metric(args: MultiTaskTrainingArguments, tasks: Mapping[str, Task]) -> None:
    """Refuse a score to watch that no evaluation will have; the Trainer would notice at the first.

    Args:
        args: The training arguments.
        tasks: The tasks that are evaluated, by their built-in metrics alone.

    Raises:
        UserError: If there is no such score.
    """
    wanted, directions = _watched(args), _directions(tasks)
    if wanted and args.eval_strategy != "no" and wanted not in directions:
        key, found = "training.metric_for_best_model", f"the evaluation will have no score '{wanted}'"
        raise UserError(Mistake(key, found, known(directions, wanted)))


def _watched(args: MultiTaskTrainingArguments) -> str:
    """The score that decides which model is the best; empty if none does."""
    return (args.metric_for_best_model or "").removeprefix("eval_")


def _directions(tasks: Mapping[str, Task]) -> dict[str, bool]:
    """Every score of an evaluation, and whether more of it is better."""
    directions = {"loss": False, **dict.fromkeys(("average", "macro", "worst"), True)}
    for name, task in tasks.items():
        directions[f"{name}_loss"] = False
        columns = task.label_columns if len(task.label_columns) > 1 else []
        for key, spec in metric_keys(task).items():
            per_target = [f"{name}_{key}_{column}" for column in columns]
            directions.update(dict.fromkeys((f"{name}_{key}", *per_target), greater_is_better(spec)))
    return directions
