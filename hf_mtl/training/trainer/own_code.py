"""Former arguments and methods of a subclass, which scripts written for a Trainer bring along."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from hf_mtl.errors import Mistake, UserError, known

_OURS = ("data", "mixture", "balancing", "schedules", "allow_code")
# Methods on which a step depends, and what to do instead of replacing them.
_OF_A_STEP = {
    "compute_loss": "Set `loss` on the task, or return what super().compute_loss gives with your change",
    "training_step": "Call super().training_step, or use a callback",
    "get_train_dataloader": "The mixture draws the rows: set mixture, or call super().get_train_dataloader",
}
# Methods of a Trainer that hf_mtl never calls, with or without super(), and what does their work.
_NEVER_CALLED = {
    "_get_train_sampler": "The mixture draws the rows: set mixture",
    "_get_eval_sampler": "Every row is scored once",
    **dict.fromkeys(
        ("get_eval_dataloader", "get_test_dataloader"), "Give the rows to evaluate() or predict(), as datasets"
    ),
    **dict.fromkeys(
        ("prediction_step", "evaluation_loop"), "Use compute_metrics, or replace evaluate() or predict()"
    ),
}


def take_tokenizer(processing_class: Any, others: dict[str, Any]) -> Any:
    """Take the tokenizer by either name, as transformers 4 did.

    Args:
        processing_class: The tokenizer by its name of today.
        others: The other arguments of the Trainer; the former name is taken out of them.

    Raises:
        UserError: If both are given.
    """
    if "tokenizer" not in others:
        return processing_class
    tokenizer = others.pop("tokenizer")
    if processing_class is not None and tokenizer is not None and tokenizer is not processing_class:
        raise UserError(Mistake("tokenizer", "is given, and processing_class too", "Give processing_class alone"))
    said = "`tokenizer` is deprecated for `MultiTaskTrainer.__init__`. Use `processing_class` instead."
    warnings.warn(said, FutureWarning, stacklevel=4)  # where the Trainer is made
    return tokenizer if processing_class is None else processing_class


def unknown_arguments(others: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find arguments that no Trainer has, which would be told of once all rows are encoded.

    Args:
        others: The arguments that are not `MultiTaskTrainer`'s own.
    """
    parameters = inspect.signature(Trainer.__init__).parameters
    names = [name for name, found in parameters.items() if name != "self" and found.kind != found.VAR_KEYWORD]
    if len(names) < len(parameters) - 1:
        return
    for name in others:
        if name not in names:
            yield Mistake(name, "is no argument of MultiTaskTrainer", known([*names, *_OURS], name))


def replaced_methods(trainer: type) -> Iterator[Mistake]:
    """Find methods of a subclass that do a step's work without calling those that they replace.

    Args:
        trainer: The class of the Trainer.
    """
    for name, remedy in _OF_A_STEP.items():
        for owner in trainer.__mro__:
            if owner.__module__.startswith("hf_mtl."):
                break
            method = vars(owner).get(name)
            if method is not None and not _mentions(method, name):
                problem = (
                    f"of {owner.__name__} never calls the one that it replaces, which balances the tasks of a step"
                )
                yield Mistake(name, problem, remedy)
                break


def idle_methods(trainer: type) -> Iterator[Mistake]:
    """Find methods of a subclass that nothing calls, so that what they do would be left out without a word.

    Args:
        trainer: The class of the Trainer.
    """
    theirs = [owner for owner in trainer.__mro__ if not owner.__module__.startswith(("hf_mtl.", "transformers."))]
    methods = [(key, value) for owner in theirs for key, value in vars(owner).items() if inspect.isfunction(value)]
    for name, remedy in _NEVER_CALLED.items():
        owner = next((owner for owner in theirs if name in vars(owner)), None)
        called = any(key != name and _mentions(method, name) for key, method in methods)  # as by an own evaluate
        if owner is not None and not called:
            yield Mistake(name, f"of {owner.__name__} is never called by MultiTaskTrainer", remedy)


def uncalled(name: str) -> UserError:
    """Say that a method of a Trainer does nothing here, to somebody who calls it.

    Args:
        name: One that hf_mtl never calls.
    """
    return UserError(Mistake(name, "is not used by MultiTaskTrainer", _NEVER_CALLED[name]))


def no_part(trainer: object) -> UserError:
    """Say that a step ended to which `compute_loss` gave no part, whatever has replaced it.

    Args:
        trainer: The Trainer.
    """
    problem = f"of this {type(trainer).__name__} did not call the one that it replaces, which balances the tasks"
    return UserError(Mistake("compute_loss", f"{problem} of a step", _OF_A_STEP["compute_loss"]))


def refuse_changed_loss(trainer: object, ours: Tensor, theirs: Tensor) -> None:
    """Refuse a loss that `compute_loss` has changed in a step that forms the gradients of single tasks.

    Such a step writes the gradients of the shared parameters anew, out of the tasks' alone: what was added to the
    loss would be left out without a word.

    Args:
        trainer: The Trainer.
        ours: The loss that hf_mtl gave.
        theirs: The loss of which the Trainer took the gradient.

    Raises:
        UserError: If they differ.
    """
    if torch.allclose(ours, theirs.to(ours), rtol=0.0, atol=0.0, equal_nan=True):
        return
    problem = (
        f"of this {type(trainer).__name__} changes the loss, and the step makes its update of task gradients alone"
    )
    remedy = "Change the row losses of a task or the penalties of its head, or use a method without task gradients"
    raise UserError(Mistake("compute_loss", problem, remedy))


def _mentions(method: Any, name: str) -> bool:
    """Tell whether a method names the one that it replaces (``super().compute_loss``); True where that cannot be
    seen.
    """
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return code is None or name in code.co_names or any(name in inner.co_names for inner in _inner(code))


def _inner(code: Any) -> list[Any]:
    """Return the functions and comprehensions within one."""
    return [item for item in code.co_consts if inspect.iscode(item)]
