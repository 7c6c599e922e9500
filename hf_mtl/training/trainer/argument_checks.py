"""Refuses arguments that a MultiTaskTrainer cannot work with, before anything is done."""

from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer
from transformers.trainer_utils import SaveStrategy
from transformers.training_args import ParallelMode

from hf_mtl.argument_conflicts import conflicts
from hf_mtl.argument_fields import refused_fields
from hf_mtl.argument_kinds import kind_mistakes
from hf_mtl.argument_ranges import AT_LEAST_ONE, AT_MOST, MOST_STEPS, NOT_NEGATIVE
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, UserError, is_or_are
from hf_mtl.launched import HOW_TO_SHARE
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.peft_refusals import run_mistakes
from hf_mtl.tasks import Task
from hf_mtl.training.folder.fresh_folder import place_mistakes
from hf_mtl.training.launch import launch_mistakes
from hf_mtl.training.scoring.own_metrics import own_metrics_mistakes
from hf_mtl.training.trainer.argument_effects import checkpointing_mistakes, idle_options, unknown_words
from hf_mtl.training.trainer.own_code import idle_methods, replaced_methods, unknown_arguments
from hf_mtl.training.trainer.stub_builds import unbuildable

_ELSEWHERE = {
    "data_collator": "hf_mtl plans and collates its own batches",
    "compute_loss_func": "set `loss` on the task",
    "preprocess_logits_for_metrics": "use compute_metrics",
}

_SCORES = "such as average, macro, worst or <task>_<metric>"
_MOST_ROWS_OF_A_WINDOW = 10**8


def check_arguments(
    model: object,
    args: object,
    others: Mapping[str, Any],
    trains: bool = False,
    trainer: type = Trainer,
    wrong_sections: Iterable[Mistake] = (),
) -> None:
    """Refuse what cannot work, all of it at once.

    Args:
        model: The model.
        args: The training arguments.
        others: The other arguments of the Trainer.
        trains: Whether there are rows to train on, so that checkpoints will be written.
        trainer: The class of the Trainer.
        wrong_sections: What is wrong with mixture, balancing and schedules.

    Raises:
        UserError: If the model or an argument does not fit a `MultiTaskTrainer`.
    """
    mistakes = [
        Mistake(key, "is not used by MultiTaskTrainer", reason)
        for key, reason in _ELSEWHERE.items()
        if others.get(key) is not None
    ]
    mistakes += own_metrics_mistakes(others.get("compute_metrics"))
    mistakes += wrong_sections
    mistakes += [*unknown_arguments(others), *idle_methods(trainer), *(replaced_methods(trainer) if trains else ())]
    if not isinstance(model, MultiTaskModel):
        remedy = "Give a MultiTaskModel; see MultiTaskModel.from_backbone"
        if isinstance(getattr(model, "base_model", None), nn.Module) and hasattr(model, "peft_config"):
            remedy += ", whose peft= puts peft's adapters into the encoder and leaves the heads whole"
        mistakes.append(Mistake("model", f"is a {type(model).__name__}", remedy))
    elif (parts := getattr(model, "tp_size", None) or 1) > 1:
        mistakes.append(Mistake("model", f"is split over {parts} processes (tp_plan)", HOW_TO_SHARE))
    elif len(places := set((getattr(model, "hf_device_map", None) or {}).values())) > 1 or "disk" in places:
        found = f"lies on {', '.join(sorted(map(str, places)))} (device_map)"
        mistakes.append(Mistake("model", found, "Load it without device_map: the Trainer moves it to the device"))
    if isinstance(args, MultiTaskTrainingArguments):
        mistakes += check_training(args)
        mistakes += checkpointing_mistakes(model, args)
        if isinstance(model, MultiTaskModel):
            mistakes += run_mistakes(model.config.peft, vars(args))
        if args.should_save:  # as the Trainer makes it, whatever it is for
            writes = trains and args.save_strategy != SaveStrategy.NO
            mistakes += place_mistakes(Path(str(args.output_dir)), writes)
    else:
        mistakes.append(Mistake("args", f"are {type(args).__name__}", "Give MultiTaskTrainingArguments"))
    if mistakes:
        raise UserError(mistakes)


def check_training(args: MultiTaskTrainingArguments) -> list[Mistake]:
    """Arguments that cannot work, or cannot mean here what they mean to the Trainer."""
    if mistakes := list(kind_mistakes(args, MultiTaskTrainingArguments)):  # set since the arguments were made
        return mistakes
    refused = [
        (args.n_gpu > 1, "n_gpu", f"this one process sees {args.n_gpu} GPUs", "Start it with `accelerate launch`"),
        (
            args.early_stopping_patience is not None
            and (args.eval_strategy == "no" or args.metric_for_best_model is None),
            "early_stopping_patience",
            "is set, but there is nothing to watch",
            f"Set eval_strategy, and metric_for_best_model ({_SCORES})",
        ),
        (
            args.metric_for_best_model is None
            and (args.load_best_model_at_end or args.save_strategy == SaveStrategy.BEST),
            "metric_for_best_model",
            "is not set, and the best model is to be kept",
            f"Set it: {_SCORES}",
        ),
        (
            args.device.type == "mps",
            "use_cpu",
            "is false, and this machine's accelerator is mps, which has no float64: losses are weighed in it",
            "Set it to true",
        ),
        (
            # One process that a launcher has started may try it.
            bool(args.fsdp) and args.parallel_mode != ParallelMode.DISTRIBUTED,
            "fsdp",
            "is on, and this process is alone: there is nobody to share the model with",
            "Start several with `accelerate launch --multi_gpu`, or leave it out",
        ),
    ]
    mistakes = [Mistake(f"training.{key}", found, remedy) for wrong, key, found, remedy in refused if wrong]
    given = vars(args)
    found = [*launch_mistakes(args), *refused_fields(given), *mistakes, *_out_of_range(args), *_too_large(args)]
    # Of what does not go together, some has been refused before; some was set since.
    return [*found, *conflicts(given), *idle_options(args), *unknown_words(args), *unbuildable(args)]


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
    for key in ("seed", "data_seed"):
        seed = getattr(args, key)
        if seed is not None and not 0 <= seed < 2**32:
            mistakes.append(Mistake(f"training.{key}", f"is {seed}", f"Allowed: 0 to {2**32 - 1}"))
    if args.warmup_steps < 0 or (args.warmup_steps > 1 and args.warmup_steps % 1):
        remedy = "Allowed: a whole number of steps, or below 1 a share of the run"
        mistakes.append(Mistake("training.warmup_steps", f"is {args.warmup_steps}", remedy))
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
    key, fitted = "training.temperature_scaling", [name for name, task in tasks.items() if task.can_calibrate]
    missing = [name for name in fitted if not len(evaluation.get(name, ()))]
    if not fitted:
        kinds = ", ".join(dict.fromkeys(task.type for task in tasks.values()))
        raise UserError(
            Mistake(key, f"is on, and no task is a classification with one softmax ({kinds})", "Leave it off")
        )
    if missing:
        found = f"is on, and there are no evaluation rows of {', '.join(missing)}"
        remedy = "Give them (eval_dataset; in a recipe a validation split, or validation_fraction), or leave it off"
        raise UserError(Mistake(key, found, remedy))


def check_tuning(tasks: Mapping[str, Task], evaluation: Mapping[str, Sized]) -> None:
    """Refuse to train where what tasks ask to have tuned could not be tuned afterwards.

    Args:
        tasks: The tasks that are trained.
        evaluation: The rows to tune on, by task.

    Raises:
        UserError: If a task that asks for it has no rows.
    """
    remedy = "Give them (eval_dataset; in a recipe a validation split, or validation_fraction), or give numbers"
    missing = {
        name: task.tuned_by for name, task in tasks.items() if task.tuned_by and not len(evaluation.get(name, ()))
    }
    if missing:
        found = "tuned on evaluation rows, and there are none"
        raise UserError(
            [Mistake(f"tasks.{name}.{key}", f"{is_or_are(key)} {found}", remedy) for name, key in missing.items()]
        )
