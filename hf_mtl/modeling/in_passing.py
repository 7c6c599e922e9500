"""Run something on a model in passing: what is trained goes on as if nothing had been run."""

import random as random_module
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PARTS = ("_parameters", "_buffers", "_modules")


class RandomState:
    """The state of the generators that dropout draws from, here and on the device, when this object was made.

    Args:
        device: The device of the model.
    """

    def __init__(self, device: torch.device):
        self._cuda = device if device.type == "cuda" else None
        self._here = torch.get_rng_state()
        self._there: Tensor | None = None if self._cuda is None else torch.cuda.get_rng_state(self._cuda)

    def restore(self) -> None:
        """Draw again what was drawn since."""
        torch.set_rng_state(self._here)
        if self._cuda is not None and self._there is not None:
            torch.cuda.set_rng_state(self._there, self._cuda)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw again what was drawn since, and then go on as if nothing had been drawn."""
        later = RandomState(self._cuda or torch.device("cpu"))
        self.restore()
        try:
            yield
        finally:
            later.restore()


@contextmanager
def generators_put_back(device: torch.device) -> Iterator[None]:
    """Leave no trace in any generator: torch's here and on a device, NumPy's and Python's.

    Some encoders draw in eval mode too, and BigBird seeds NumPy's for all.

    Args:
        device: The device of the model.
    """
    states, numpy_state, python_state = RandomState(device), np.random.get_state(), random_module.getstate()
    try:
        yield
    finally:
        states.restore()
        np.random.set_state(numpy_state)
        random_module.setstate(python_state)


@contextmanager
def in_passing(
    model: nn.Module,
    *,
    training: bool = False,
    plain: bool = False,
    keep_gradients: bool = False,
    random: RandomState | None = None,
) -> Iterator[None]:
    """Run something on a model, and leave the model as it was.

    Args:
        model: The model.
        training: Run it in training mode, with dropout; otherwise in eval mode, where nothing is drawn.
        plain: Run it in the dtype of its weights, without accelerate's autocast, in which small numbers are lost.
        keep_gradients: Begin without gradients, and put back those that there were.
        random: Draw what was drawn since then, and afterwards go on as if nothing had been. None: leave draws alone.
    """
    modes = [(module, module.training) for module in model.modules()]
    with ExitStack() as stack:
        if random is not None:
            stack.enter_context(random.again())
        if plain:
            stack.enter_context(_without_autocast(model))
        if keep_gradients:
            stack.enter_context(gradients_put_back(model))
        model.train(training)
        try:
            yield
        finally:
            for module, before in modes:  # one by one: parts of a model may be in another mode than the whole
                module.training = before


@contextmanager
def parts_put_back(model: nn.Module) -> Iterator[None]:
    """Undo what a forward may do to a model's own modules: BigBird's replaces its layers at a short row, for good."""
    kept = [
        (vars(module), dict(vars(module)), [dict(vars(module)[name]) for name in _PARTS])
        for module in model.modules()
    ]
    try:
        yield
    finally:
        for own, before, parts in kept:
            own.clear()
            own.update(before)
            for name, part in zip(_PARTS, parts, strict=True):
                own[name].clear()
                own[name].update(part)


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """Call a module that `compile` has compiled in place as if it had not."""
    compiled = vars(module).pop("_compiled_call_impl", None)
    try:
        yield
    finally:
        if compiled is not None:
            module._compiled_call_impl = compiled


def plain_forward(model: Any) -> Any:
    """Return the model's forward without the autocast that accelerate puts around it."""
    return vars(model).get("_original_forward", model)


@contextmanager
def _without_autocast(model: nn.Module) -> Iterator[None]:
    own = vars(model)
    patched = own.get("forward")
    if "_original_forward" in own:
        model.forward = own["_original_forward"]
    try:
        yield
    finally:
        if patched is not None:
            model.forward = patched


@contextmanager
def gradients_put_back(model: nn.Module) -> Iterator[None]:
    """Begin without gradients, and put back those that there were."""
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient
