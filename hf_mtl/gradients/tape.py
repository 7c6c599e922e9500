"""One forward and one backward of a mixed batch, out of which the gradient of every task comes.

The weight gradient of a layer is a sum over rows. A taped layer computes its output with its parameters as constants,
so that the backward forms the gradients of activations alone, and keeps the layer's input and the gradient of its
output. What a task adds to the layer's weight gradient is then formed from that task's rows: the arithmetic of an
ordinary backward, divided among the tasks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hf_mtl.batch import Cut, Packed
from hf_mtl.gradients.unsupported import Unsupported
from hf_mtl.modeling.in_passing import uncompiled


@dataclass
class Call:
    """One use of a layer. Its units are the tokens of packed rows, or the rows of a rectangle.

    Args:
        inputs: What the layer saw, [units, ...].
        gradient: Gradient of the step's scalar with respect to its output, [units, ...].
        cut: Which units are whose.
    """

    inputs: Tensor
    gradient: Tensor
    cut: Cut

    def pieces(self, task: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and gradients of the units of a task."""
        for owner, start, stop in self.cut:
            if owner == task:
                yield self.inputs[start:stop], self.gradient[start:stop]


@dataclass(frozen=True)
class Sight:
    """What the layers of an encoder see in a call of it.

    Args:
        rows: Which rows are whose. A layer for one vector of each row, such as a pooler, has these as its units.
        tokens: Which tokens are whose, where all rows stand end to end as [1, N]; None: they are a rectangle.
    """

    rows: Cut
    tokens: Cut | None = None

    def token_axes(self, seen: Tensor) -> list[int]:
        """Return the dimensions of what a layer has seen that may be those of tokens: 1, or 2 behind heads."""
        if self.tokens is None or len(seen) != 1:
            return []
        # [1, N] without a third dimension are ids; of numbers it is one vector, of all rows as if they were one.
        axes = [1] if seen.ndim > 2 or not seen.is_floating_point() else []
        return [axis for axis in axes + [2] * (seen.ndim == 4) if seen.shape[axis] == self.tokens[-1][2]]


def sights(packed: Packed, packs: bool) -> list[Sight]:
    """Return what layers see in each call of the encoder.

    Args:
        packed: Rows that are ordered by task.
        packs: Whether the encoder takes them packed, and not as rectangles.
    """
    if not packs:
        return [Sight(cut) for cut in packed["rectangles"]["cuts"]]
    ends = [0, *accumulate(packed["lengths"])]
    return [Sight(packed["cut"], [(task, ends[first], ends[last]) for task, first, last in packed["cut"]])]


class Taped(ABC):
    """A module that a tape plays instead of its own forward; see `layers` for the kinds.

    Args:
        name: The module's name, for messages.
        module: A module with parameters and without parts that have any.
    """

    def __init__(self, name: str, module: nn.Module):
        self.name = name
        self.module = module
        self.calls: list[Call] = []
        self.axis: int | None = None  # of packed tokens
        self.patched: Any = None  # a forward that somebody else has put on this very module

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained now, by their name in the module."""
        return {name: one for name, one in self.module.named_parameters(recurse=False) if one.requires_grad}

    def own_forward(self, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Return the module's output with other tensors as its parameters, while a tape has replaced its forward."""
        # `functional_call` calls the module, and the module's forward is the tape's now, which would call this again.
        taped = self._put(self.patched)
        try:
            output: Tensor = functional_call(self.module, parameters, (inputs,))
        finally:
            self._put(taped)
        return output

    def start(self, forward: Any) -> None:
        """Play in the module's place."""
        self.patched = self._put(forward)

    def stop(self) -> None:
        """Leave the module as it was."""
        self._put(self.patched)

    def _put(self, forward: Any) -> Any:
        """Set the module's own forward, or the class's with None; gives what was there."""
        # In the instance's own dictionary: other modules of the class, and this one afterwards, are as they were.
        before = vars(self.module).pop("forward", None)
        if forward is not None:
            self.module.forward = forward
        return before

    @abstractmethod
    def play(self, sight: Sight, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output for some inputs, with the parameters as constants, and the inputs to keep for the
        gradients.

        Args:
            sight: What the encoder was called with.
            inputs: What the layer sees.
        """

    @abstractmethod
    def add(self, name: str, tasks: Sequence[int], calls: Sequence[Call], into: Tensor, fresh: bool) -> None:
        """Add what some calls give for one parameter to the rows of the tasks.

        Args:
            name: The parameter.
            tasks: The tasks that have rows in the calls.
            calls: The calls.
            into: Gradients of all tasks, [T, *shape of the parameter].
            fresh: Whether these are to be overwritten, as the first of a step.
        """

    def combines(self, name: str) -> bool:
        """Tell whether `add_combined` is there for a parameter: one product where the rows take one for each task."""
        return False

    def add_combined(self, name: str, calls: Sequence[Call], weights: Tensor, into: Tensor) -> None:
        """Add the sum over tasks of weight times gradient.

        Args:
            name: The parameter.
            calls: The calls.
            weights: Weight of each task, [T].
            into: Of the parameter's shape.
        """
        raise TypeError(f"'{self.name}' has no single product for {name}; ask combines() first")


class _Tap(torch.autograd.Function):
    """The identity; its backward notes the gradient. Inputs are saved tensors, which checkpointing computes again."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, inputs: Tensor, taped: Taped, sight: Sight) -> Tensor:
        ctx.taped, ctx.sight = taped, sight
        # Without a graph behind it the output is a leaf, on which autograd would leave a gradient nobody asks for.
        ctx.goes_on = output.grad_fn is not None
        ctx.save_for_backward(inputs)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        (inputs,) = ctx.saved_tensors
        ctx.taped.calls.append(_call(ctx.taped, ctx.sight, inputs.detach(), gradient.detach()))
        return gradient if ctx.goes_on else None, None, None, None


def _call(taped: Taped, sight: Sight, inputs: Tensor, gradient: Tensor) -> Call:
    """Tell the units of what a layer has seen."""
    axes = sight.token_axes(inputs)
    if axes and sight.tokens is not None:
        # Where there are as many tokens as heads, the dimension is the one that it was before.
        taped.axis = taped.axis if taped.axis in axes else axes[0]
        return Call(inputs[0].movedim(taped.axis - 1, 0), gradient[0].movedim(taped.axis - 1, 0), sight.tokens)
    if len(inputs) == sight.rows[-1][2]:
        return Call(inputs, gradient, sight.rows)
    raise Unsupported(f"'{taped.name}' sees {list(inputs.shape)}, which are neither tokens nor rows")


class Tape:
    """Records an encoder's layers while its forwards run.

    Args:
        encoder: The encoder.
        layers: The layers that own its parameters.
    """

    def __init__(self, encoder: nn.Module, layers: Sequence[Taped]):
        self.encoder = encoder
        self.layers = list(layers)
        self._next: list[Sight] = []
        self._sight: Sight | None = None

    @contextmanager
    def recording(self, sights: Sequence[Sight]) -> Iterator[None]:
        """Tape forwards and their backward, both of which have to run inside.

        Args:
            sights: What the layers see in each call of the encoder, in the order of the calls.
        """
        self._next = list(sights)[::-1]  # `_begin_call` takes them from the end
        hook = self.encoder.register_forward_pre_hook(lambda *_: self._begin_call())
        playing = [layer for layer in self.layers if layer.parameters]
        for layer in playing:
            layer.start(self._forward_of(layer))
        try:
            # What is compiled would not see that layers are played.
            with uncompiled(self.encoder):
                yield
        finally:
            hook.remove()
            for layer in playing:
                layer.stop()

    def forget(self) -> None:
        """Drop what was recorded."""
        for layer in self.layers:
            layer.calls = []

    def _begin_call(self) -> None:
        self._sight = self._next.pop()

    def _forward_of(self, layer: Taped) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Tensor:
            inputs, *more = [*args, *kwargs.values()]
            if more or not isinstance(inputs, Tensor):
                raise Unsupported(f"'{layer.name}' takes more than one tensor")
            assert self._sight is not None
            output, kept = layer.play(self._sight, inputs)
            if not torch.is_grad_enabled():
                return output
            # The first layers see no input with a gradient, and their parameters are constants here: without a graph
            # of its own, the backward would never come to the tap.
            if not output.requires_grad:
                output.requires_grad_()
            found: Tensor = _Tap.apply(output, kept, layer, self._sight)
            return found

        return forward
