"""Low-rank adapters of single tasks: in one pass of the encoder, each token goes through the adapter of its task."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.in_passing import generators_put_back, in_passing, parts_put_back
from hf_mtl.modeling.peft_kinds import KEY
from hf_mtl.modeling.peft_layers import chosen_layers, warn_of_rank
from hf_mtl.modeling.peft_options import peft_config
from hf_mtl.modeling.task_heads import module_key
from hf_mtl.signatures import Options

Owned = Sequence[tuple[str, int, int]]
"""Whose rows, or tokens, are whose: the task, the first, and the one after the last."""

_KEY = f"{KEY}.per_task"


@dataclass(frozen=True)
class Route:
    """Whose is what the layers see in one call of the encoder.

    Args:
        rows: Whose the rows are.
        tokens: Whose the tokens are, where all rows stand end to end as [1, N]; None: they are a rectangle.
    """

    rows: Owned
    tokens: Owned | None = None

    def axis(self, seen: Tensor) -> tuple[int, Owned] | None:
        """Return the dimension of tokens or rows in what a layer sees, and whose these are; None: there is none."""
        if self.tokens is not None and len(seen) == 1 and seen.ndim > 2:
            for axis in (1, 2)[: seen.ndim - 2]:
                if seen.shape[axis] == self.tokens[-1][2]:
                    return axis, self.tokens
        return (0, self.rows) if seen.shape[0] == self.rows[-1][2] else None


class LowRank(nn.Module):
    """What an adapter adds to a layer's output: ``scale * B A x``, with A [r, in] drawn as in peft and B [out, r] 0.

    Args:
        layer: The layer.
        rank: The rank r.
        scale: The scale.
        dropout: Probability of dropout on the input.
    """

    def __init__(self, layer: nn.Module, rank: int, scale: float, dropout: float):
        super().__init__()
        weight: Tensor = layer.weight  # type: ignore[assignment]
        outputs, inputs = reversed(weight.shape) if isinstance(layer, Conv1D) else weight.shape
        place = {"device": weight.device, "dtype": weight.dtype}
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.lora_A = nn.Linear(inputs, rank, bias=False, **place)
        self.lora_B = nn.Linear(rank, outputs, bias=False, **place)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [..., in] to what is added to the outputs [..., out]."""
        added: Tensor = self.lora_B(self.lora_A(self.dropout(inputs)))
        return added * self.scale

    def delta(self) -> Tensor:
        """Return what it adds to the weight, [out, in]."""
        return self.scale * (self.lora_B.weight @ self.lora_A.weight)


class PrivateAdapters(nn.Module):
    """The adapters that tasks have for themselves, on the same layers for all tasks.

    They stand beside the encoder, as heads do: no task's gradient reaches another's, and none is shared.

    Args:
        encoder: The encoder, without adapters of its own as yet.
        tasks: The tasks, in order.
        options: What `hf_mtl.modeling.peft_options.parse_peft` has read.

    Raises:
        ModelError: If a name is no layer's.
    """

    def __init__(self, encoder: PreTrainedModel, tasks: Sequence[str], options: Options):
        super().__init__()
        config = peft_config(options)
        scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
        self.layers = chosen_layers(encoder, config, _KEY)
        warn_of_rank(encoder, self.layers, config.r, _KEY)
        self.tasks = list(tasks)
        # A dot would be read as nesting. The name is that of the layer, which a shared adapter may come to wrap.
        for task in self.tasks:
            made = {
                _layer_key(name): LowRank(encoder.get_submodule(name), config.r, scale, config.lora_dropout)
                for name in self.layers
            }
            self.add_module(module_key(task), nn.ModuleDict(made))
        self._routes: list[Route] | None = None  # of the calls of the encoder; the first is that of the next call
        self._now: Route | None = None

    def of(self, task: str) -> dict[str, LowRank]:
        """Return a task's adapters, by the name of their layer in the encoder."""
        modules: Any = self.get_submodule(module_key(task))
        return {name: modules[_layer_key(name)] for name in self.layers}

    def named_of(self, task: str) -> list[tuple[str, nn.Parameter]]:
        """Return the parameters of a task's adapters, by name."""
        return list(self.get_submodule(module_key(task)).named_parameters())

    def parameters_of(self, task: str) -> list[nn.Parameter]:
        """Return the parameters of a task's adapters."""
        return [parameter for _, parameter in self.named_of(task)]

    def adapted_parameters(self, encoder: nn.Module) -> Iterator[nn.Parameter]:
        """Yield the encoder's own parameters of the layers that the adapters are on."""
        for name in self.layers:
            layer: Any = encoder.get_submodule(name)
            yield from getattr(layer, "base_layer", layer).parameters()

    def freeze_within(self, encoder: nn.Module, frozen: Sequence[nn.Module]) -> None:
        """Keep those adapters as they are whose layers are in frozen modules of the encoder."""
        inside = {id(module) for part in frozen for module in part.modules()}
        for task in self.tasks:
            for name, adapter in self.of(task).items():
                if id(encoder.get_submodule(name)) in inside:
                    adapter.requires_grad_(False)

    @contextmanager
    def routed(self, encoder: nn.Module, routes: Sequence[Route]) -> Iterator[None]:
        """Have the encoder's layers add the adapters of the tasks whose rows they see.

        Args:
            encoder: The encoder.
            routes: Whose the rows of each of its calls are, in the order of the calls.
        """
        self._routes = list(routes)
        begin = encoder.register_forward_pre_hook(lambda *_: self._begin_call())
        try:
            with self._added(encoder):
                yield
        finally:
            begin.remove()
            self._routes = self._now = None

    def _begin_call(self) -> None:
        assert self._routes
        self._now = self._routes.pop(0)

    @contextmanager
    def _added(self, encoder: nn.Module) -> Iterator[None]:
        """Put hooks on the layers for a while: a model that is copied or pickled has none."""
        own = {task: self.of(task) for task in self.tasks}
        hooks = []
        for name in self.layers:
            add = self._adding(name, {task: adapters[name] for task, adapters in own.items()})
            hooks.append(encoder.get_submodule(name).register_forward_hook(add))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _adding(self, name: str, own: Mapping[str, LowRank]) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def add(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            assert self._now is not None
            seen: Tensor = inputs[0]
            found = self._now.axis(seen)
            if found is None:
                problem = f"'{name}' sees {list(seen.shape)}, which are neither tokens nor rows"
                raise ModelError(Mistake(_KEY, problem, "Name other layers in target_modules"))
            axis, owned = found
            parts = [own[task](seen.narrow(axis, first, last - first)) for task, first, last in owned]
            return output + torch.cat(parts, dim=axis)

        return add

    def in_recomputation(self, encoder: nn.Module, checkpoint: Callable[..., Any]) -> Callable[..., Any]:
        """Return an activation checkpointing that runs layers again as they ran: with the adapters of that call.

        Args:
            encoder: The encoder.
            checkpoint: The function that runs a layer, and runs it again in the backward.
        """
        inner = checkpoint.func if isinstance(checkpoint, functools.partial) else checkpoint
        keywords = checkpoint.keywords if isinstance(checkpoint, functools.partial) else {}
        return functools.partial(self._checkpoint, encoder, inner, **keywords)

    def _checkpoint(
        self, encoder: nn.Module, checkpoint: Callable[..., Any], run: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        then = self._now

        def again(*inputs: Any) -> Any:
            if self._now is then:  # the forward itself, or one without adapters
                return run(*inputs)
            self._now = then
            try:
                with self._added(encoder):
                    return run(*inputs)
            finally:
                self._now = None

        return checkpoint(again, *args, **kwargs)

    def merged_into(self, task: str, weights: Mapping[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
        """Return the encoder's weights with a task's adapters added to them.

        Args:
            task: The task.
            weights: The weights, without other adapters.
            encoder: The encoder, for how its layers' weights lie.
        """
        found = dict(weights)
        for name, adapter in self.of(task).items():
            layer: Any = encoder.get_submodule(name)
            delta = adapter.delta()
            turned = isinstance(getattr(layer, "base_layer", layer), Conv1D)
            found[f"{name}.weight"] = found[f"{name}.weight"] + (delta.T if turned else delta)
        return found

    def try_out(self, encoder: PreTrainedModel) -> None:
        """Refuse layers that see neither tokens nor rows, before anything is trained.

        Raises:
            ModelError: If there is one; names it.
        """
        if any(weight.is_meta for weight in encoder.parameters()):
            return
        # Rows and tokens in numbers that nothing else comes in: a table of positions is not taken for them.
        ids = torch.full((3, 5), len(encoder.get_input_embeddings().weight) // 2, device=encoder.device)
        rows = [(self.tasks[0], 0, 1), (self.tasks[-1], 1, 3)]
        quiet = (in_passing(encoder), parts_put_back(encoder), torch.no_grad(), generators_put_back(encoder.device))
        with quiet[0], quiet[1], quiet[2], quiet[3], self.routed(encoder, [Route(rows)]):
            try:
                encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
            except ModelError:
                raise
            except Exception as error:  # each architecture wants its own inputs, and fails in its own way
                found = f"cannot be added: {type(error).__name__}: {one_line(error)}"
                raise ModelError(Mistake(_KEY, found, "Leave it out, or name other layers")) from error


def _layer_key(name: str) -> str:
    return name.replace(".", "/")
