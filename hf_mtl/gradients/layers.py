"""The layers that a tape knows, and what each of their parameters gets from a task's rows."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from hf_mtl.errors import Mistake, UserError
from hf_mtl.gradients.tape import Call, Sight, Taped
from hf_mtl.gradients.unsupported import Unsupported
from hf_mtl.modeling.adapters import adapter_types
from hf_mtl.modeling.products import multiply_into, product


def constants(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's own parameters without their gradient."""
    return {name: parameter.detach() for name, parameter in module.named_parameters(recurse=False)}


def _joined(parts: Iterable[Tensor]) -> Tensor:
    several = list(parts)
    return several[0] if len(several) == 1 else torch.cat(several)


def _tokens(calls: Sequence[Call], task: int) -> tuple[Tensor, Tensor]:
    """Return inputs [n, in] and gradients [n, out] of all tokens of a task."""
    pieces = [piece for call in calls for piece in call.pieces(task)]
    inputs = _joined(x.reshape(-1, x.shape[-1]) for x, _ in pieces)
    return inputs, _joined(d.reshape(-1, d.shape[-1]) for _, d in pieces)


class TapedTokens(Taped):
    """A layer that does the same with every token; the tokens of all calls are taken together."""

    def play(self, sight: Sight, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the module's own forward."""
        output = self.own_forward(constants(self.module), inputs)
        # Under autocast the layer works on shorter numbers; keeping these is enough.
        short = output.dtype.itemsize < inputs.dtype.itemsize
        return output, inputs.detach().to(output.dtype) if short else inputs.detach()

    def add(self, name: str, tasks: Sequence[int], calls: Sequence[Call], into: Tensor, fresh: bool) -> None:
        """Add the rows' gradients task by task, the tokens of all calls at once."""
        for task in tasks:
            self.add_task(name, *_tokens(calls, task), into[task], fresh)

    def add_task(self, name: str, inputs: Tensor, gradient: Tensor, into: Tensor, fresh: bool) -> None:
        """Add the gradient of one parameter from one task's tokens, or write it where it is the first."""
        value = self.gradient(name, inputs, gradient)
        into.copy_(value) if fresh else into.add_(value)

    @abstractmethod
    def gradient(self, name: str, inputs: Tensor, gradient: Tensor) -> Tensor:
        """Form the gradient of one parameter from tokens' inputs [n, in] and gradients [n, out]."""


class TapedLinear(TapedTokens):
    """`nn.Linear`: weight [out, in]; and `Conv1D`, whose weight is [in, out]."""

    def play(self, sight: Sight, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the output without `functional_call`, which costs as much as a small product."""
        if isinstance(self.module, Conv1D) or self.patched is not None:
            return super().play(sight, inputs)
        own = constants(self.module)
        if inputs.device.type != "meta" and torch.is_autocast_enabled(inputs.device.type):
            # Cast once, for the layer and for what is kept.
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        return F.linear(inputs, own["weight"], own.get("bias")), inputs.detach()

    def add_task(self, name: str, inputs: Tensor, gradient: Tensor, into: Tensor, fresh: bool) -> None:
        """Put the product straight into its place, where the dtypes allow it."""
        if name != "weight" or not inputs.dtype == gradient.dtype == into.dtype:
            return super().add_task(name, inputs, gradient, into, fresh)
        left, right = self._factors(inputs, gradient)
        multiply_into(into, left.T, right.T, fresh)

    def gradient(self, name: str, inputs: Tensor, gradient: Tensor) -> Tensor:
        """Form the weight's gradient as one product, and the bias' as the sum over tokens."""
        if name == "bias":
            return gradient.sum(0, dtype=torch.promote_types(gradient.dtype, torch.float32))
        left, right = self._factors(inputs.to(gradient.dtype), gradient)
        return product(left.T, right.T)

    def combines(self, name: str) -> bool:
        """Tell that the weight is combined at once: each token's gradient times its task's weight, in one product."""
        return name == "weight"

    def add_combined(self, name: str, calls: Sequence[Call], weights: Tensor, into: Tensor) -> None:
        """Add the combined gradient of the weight; see `Taped`."""
        for call in calls:
            each = torch.zeros(len(call.inputs), dtype=torch.float32, device=into.device)
            for task, start, stop in call.cut:
                each[start:stop] = weights[task]
            scaled = call.gradient * each.view(-1, *[1] * (call.gradient.ndim - 1))  # in float32, then rounded once
            scaled = scaled.to(call.gradient.dtype)
            inputs = call.inputs.reshape(-1, call.inputs.shape[-1])
            self.add_task(name, inputs, scaled.reshape(-1, scaled.shape[-1]), into, fresh=False)

    def _factors(self, inputs: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return (inputs, gradient) if isinstance(self.module, Conv1D) else (gradient, inputs)


class TapedLayerNorm(TapedTokens):
    """`nn.LayerNorm` over the last dimension."""

    def add(self, name: str, tasks: Sequence[int], calls: Sequence[Call], into: Tensor, fresh: bool) -> None:
        """Normalise the inputs of all tasks at once, then add task by task."""
        if name == "weight":
            calls = [replace(call, gradient=self._of_weight(call)) for call in calls]
        super().add(name, tasks, calls, into, fresh)

    def gradient(self, name: str, inputs: Tensor, gradient: Tensor) -> Tensor:
        """Sum over tokens what each gives."""
        return gradient.sum(0, dtype=torch.promote_types(gradient.dtype, torch.float32))

    def _of_weight(self, call: Call) -> Tensor:
        """Return what each token gives to the weight's gradient: the output's times the normalised input."""
        assert isinstance(self.module, nn.LayerNorm)
        gradient = call.gradient.to(torch.promote_types(call.gradient.dtype, torch.float32))
        shape, eps = self.module.normalized_shape, self.module.eps
        return gradient * F.layer_norm(call.inputs.to(gradient.dtype), shape, eps=eps)


class TapedEmbedding(Taped):
    """`nn.Embedding`: a task touches the rows of its own tokens only."""

    def play(self, sight: Sight, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Look up positions that all rows share once for each row, so that each row has a gradient of its own."""
        rows = sight.rows[-1][2]
        if sight.tokens is None and len(inputs) == 1 < rows:
            inputs = inputs.expand(rows, *inputs.shape[1:])
        return self.own_forward(constants(self.module), inputs), inputs

    def add(self, name: str, tasks: Sequence[int], calls: Sequence[Call], into: Tensor, fresh: bool) -> None:
        """Add to a whole table per task, where somebody wants whole rows."""
        for task in tasks:
            if fresh:
                into[task].zero_()
            for call in calls:
                for ids, gradient in call.pieces(task):
                    flat, values = self.touched(ids, gradient)
                    into[task].index_add_(0, flat, values.to(into.dtype))

    def touched(self, ids: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Give ids [n] and gradients [n, H] of the tokens; what is of padding, which is not trained, is 0."""
        assert isinstance(self.module, nn.Embedding)
        flat, values = ids.reshape(-1), gradient.reshape(-1, gradient.shape[-1])
        if self.module.padding_idx is None:
            return flat, values
        # Zeros, of a token that occurs, and not left out: how many are left, a GPU would have to be asked.
        padding = flat == self.module.padding_idx
        other = flat.masked_fill(padding, -1).max().clamp(min=0)
        return torch.where(padding, other, flat), values.masked_fill(padding[:, None], 0.0)


class TapedModule(Taped):
    """Any other layer that works row by row without a draw: run once more on a task's rows, for its parameters."""

    _autocast: dict[str, Any] | None = None

    def play(self, sight: Sight, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the module's own forward."""
        kind = inputs.device.type
        if kind != "meta":
            enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
            self._autocast = {"device_type": kind, "enabled": enabled, "dtype": dtype}
        # Run once more, a layer that draws would drop other numbers than in the forward, and give another gradient.
        before = _generator_state(inputs.device)
        output = self.own_forward(constants(self.module), inputs)
        if not torch.equal(before, _generator_state(inputs.device)):
            found = f"'{self.name}' draws random numbers, which running it once more would not repeat"
            raise UserError(Mistake("balancing.gradients.layout", found, "Set it to split"))
        return output, inputs.detach()

    def add(self, name: str, tasks: Sequence[int], calls: Sequence[Call], into: Tensor, fresh: bool) -> None:
        """Run the layer again on each task's rows, call by call."""
        for task in tasks:
            if fresh:
                into[task].zero_()
            for call in calls:
                for inputs, gradient in call.pieces(task):
                    into[task].add_(self._gradient(name, inputs, gradient))

    @torch.enable_grad()
    def _gradient(self, name: str, inputs: Tensor, gradient: Tensor) -> Tensor:
        own = constants(self.module)
        own[name] = own[name].clone().requires_grad_()
        # The backward is over, and the forward's autocast with it.
        with nullcontext() if self._autocast is None else torch.autocast(**self._autocast):
            output = self.own_forward(own, inputs)
        (found,) = torch.autograd.grad(output, own[name], gradient.to(output.dtype))
        return found


KINDS: list[tuple[Callable[[nn.Module], bool], type[Taped]]] = [
    (lambda module: type(module) in (nn.Linear, Conv1D), TapedLinear),
    (lambda module: type(module) is nn.LayerNorm and len(module.normalized_shape) == 1, TapedLayerNorm),
    (lambda module: type(module) is nn.Embedding and not _renormalises(module), TapedEmbedding),
    (lambda module: True, TapedModule),
]


def _generator_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _kind_of(name: str, module: nn.Module) -> type[Taped]:
    if any(buffer.startswith("running_") for buffer, _ in module.named_buffers(recurse=False)):
        raise Unsupported(f"'{name}' keeps statistics of what it sees")
    if "forward" in vars(module):  # what it does is not what its class does
        return TapedModule
    return next(kind for matches, kind in KINDS if matches(module))


def _renormalises(module: nn.Embedding) -> bool:
    return module.max_norm is not None or module.scale_grad_by_freq or module.sparse


def taped_layers(encoder: nn.Module) -> list[Taped]:
    """Return the layers that own an encoder's trainable parameters.

    Raises:
        Unsupported: If a module owns parameters and has parts that own some too: how it uses its own is not known; if
            it keeps statistics of what it sees; or if an adapter is trained that does more than add a product.
    """
    found: list[Taped] = []
    for name, kind in adapter_types(encoder).items():
        # DoRA runs its layers on an identity too, and other types use their weights beside layers: those calls
        # are of no task's tokens.
        if kind != "lora":
            raise Unsupported(f"'{name}' has an adapter of type {kind}")
    for name, module in encoder.named_modules():
        own = [parameter for _, parameter in module.named_parameters(recurse=False) if parameter.requires_grad]
        if not own:
            continue
        if any(True for part in module.children() for _ in part.parameters()):
            raise Unsupported(f"'{name or type(module).__name__}' has parameters beside its layers")
        found.append(_kind_of(name, module)(name, module))
    return found
