"""Refuses tasks that cannot be scored, before their rows are tokenised and again when these are known."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from transformers import EvalPrediction

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.check import column_mistakes
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError, Mistake, UserError, known, name_classes
from hf_mtl.evaluation import (
    Trust,
    check_metrics,
    foreign_mistakes,
    greater_is_better,
    score_keys,
    undefined_metrics,
)
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.scoring.own_metrics import OwnMetrics, is_number, kind_of, own_scores

logger = get_logger(__name__)


def check_tasks(
    args: MultiTaskTrainingArguments, tasks: Mapping[str, Task], train: object, evaluation: object, trust: Trust
) -> None:
    """Refuse tasks whose columns or metrics cannot be used, before anything is done with their rows.

    Args:
        args: The training arguments; they learn which way the score that they watch is better.
        tasks: The model's tasks.
        train: What was given to train on: by task, or of the only one; None: nothing.
        evaluation: The same to evaluate on.
        trust: Whose code the metrics may run.

    Raises:
        DataError: With everything that is wrong with the tasks that have rows.
    """
    evaluated = _given(tasks, evaluation)
    used = {**_given(tasks, train), **evaluated}
    mistakes = [mistake for name, task in used.items() for mistake in column_mistakes(name, task)]
    mistakes += [*check_metrics(used), *foreign_mistakes(evaluated, trust)]
    if mistakes:
        raise DataError(mistakes)
    set_direction(args, used)


def _given(tasks: Mapping[str, Task], datasets: object) -> dict[str, Task]:
    """Return the tasks that have rows; names that the model does not have are found where the rows are read."""
    names: Iterable[Any] = datasets if isinstance(datasets, Mapping) else tasks
    return {} if datasets is None else {name: tasks[name] for name in names if name in tasks}


def check_evaluation(
    args: MultiTaskTrainingArguments,
    tasks: Mapping[str, Task],
    train: Iterable[str],
    evaluation: Mapping[str, EncodedSplit],
    own_metrics: OwnMetrics | None,
    overridden: bool = False,
) -> None:
    """Refuse to train where the evaluations to come would fail, or say nothing.

    Args:
        args: The training arguments.
        tasks: The model's tasks, which `check_tasks` has seen.
        train: The tasks that are trained.
        evaluation: The rows to evaluate on, by task.
        own_metrics: The user's ``compute_metrics``.
        overridden: Whether ``evaluate`` is the user's own, which may need no rows and return scores of any name.

    Raises:
        UserError: If there are no rows, a metric is the same whatever is predicted, or no score is what the arguments
            watch.
    """
    train = list(train)
    if not (evaluation or overridden) and args.eval_strategy != "no":
        strategy = getattr(args.eval_strategy, "value", args.eval_strategy)
        problem = f"is '{strategy}', and no task has rows to evaluate on"
        remedy = "Give them (eval_dataset; in a recipe a validation split, or validation_fraction), or set it to 'no'"
        raise UserError(Mistake("training.eval_strategy", problem, remedy))
    if not train:
        return
    _check_scores(tasks, evaluation)
    absent = [name for name in train if name not in evaluation]
    if evaluation and absent and is_main_process():
        logger.warning(
            f"{', '.join(absent)}: no evaluation rows, so no scores; average, macro and worst are those of the other "
            "tasks."
        )
    if overridden:
        return
    watched = evaluation if args.eval_strategy != "no" else [*train, *evaluation]
    _check_best_metric(args, {name: tasks[name] for name in watched}, evaluation, own_metrics)


def _check_scores(tasks: Mapping[str, Task], evaluation: Mapping[str, EncodedSplit]) -> None:
    """Refuse metrics that say nothing on the evaluation rows: early stopping and the best model would follow them."""
    mistakes = []
    for name, split in evaluation.items():
        labels = split.labels[split.scored]
        mistakes += undefined_metrics(tasks[name], name, labels, "validation")
        if is_main_process() and (absent := tasks[name].absent(labels)):
            shown = name_classes([f"'{label}'" for label in absent], 20)
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


def _check_best_metric(
    args: MultiTaskTrainingArguments,
    tasks: Mapping[str, Task],
    evaluation: Mapping[str, EncodedSplit],
    own_metrics: OwnMetrics | None,
) -> None:
    """Refuse a score to watch that no evaluation will have; the Trainer would notice at the first."""
    wanted, scores = _watched(args), set(_directions(tasks))
    if not wanted or wanted in scores:
        return
    for name in [name for name in tasks if wanted.startswith(f"{name}_") and own_metrics is not None]:
        own = _own_found(own_metrics, tasks[name], name, evaluation.get(name))
        if own is None:
            return
        if wanted in own and not is_number(own[wanted]):
            found = f"is '{wanted}', of which compute_metrics makes {kind_of(own[wanted])}"
            raise UserError(Mistake("training.metric_for_best_model", found, "The best model needs one number"))
        scores |= own.keys()
    if wanted not in scores:
        key, found = "training.metric_for_best_model", f"the evaluation will have no score '{wanted}'"
        raise UserError(Mistake(key, found, known(scores, wanted)))


def _own_found(
    own_metrics: OwnMetrics | None, task: Task, name: str, split: EncodedSplit | None
) -> dict[str, Any] | None:
    """Ask a ``compute_metrics`` what it returns for a model that is always right; None: that cannot be known."""
    if own_metrics is None or split is None:
        return None
    labels = split.labels[split.scored]
    try:
        found = own_scores(own_metrics, EvalPrediction(task.perfect_outputs(labels), np.copy(labels)), name)
    except Exception:  # the user's code, which may need what a model predicts
        return None
    return {f"{name}_{key}": value for key, value in found.items()}


def _watched(args: MultiTaskTrainingArguments) -> str:
    """Return the score that decides which model is the best; empty if none does."""
    return (args.metric_for_best_model or "").removeprefix("eval_")


def _directions(tasks: Mapping[str, Task]) -> dict[str, bool]:
    """Name every score of an evaluation, and say whether more of it is better."""
    directions = {"loss": False, **dict.fromkeys(("average", "macro", "worst"), True)}
    for name, task in tasks.items():
        for key, spec in score_keys(task):
            directions[f"{name}_{key}"] = spec is not None and greater_is_better(spec)
    return directions
