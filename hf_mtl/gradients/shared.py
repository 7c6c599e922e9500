"""Task gradients of the shared parameters in training: the one object that a trainer drives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.utils import logging

from hf_mtl.gradients.choice import (
    choose_hold,
    find_layers,
    lookup_tables,
    shared_parameters,
    why_not_segments,
)
from hf_mtl.gradients.held import HeldGradients
from hf_mtl.gradients.options import GradientOptions
from hf_mtl.gradients.recomputed import Recomputed
from hf_mtl.gradients.rows import Rows
from hf_mtl.gradients.tape import Tape, Taped

logger = logging.get_logger(__name__)

Layout = Literal["segments", "split"]


class SharedGradients:
    """Forms and holds the gradient of every task, one optimizer step at a time.

    A step: `begin`, then for each micro-batch its forward and backward inside `micro_batch`, then `close`. With the
    layout ``split`` the backward is one for each task, each followed by `take`.

    Args:
        model: A `MultiTaskModel`, where it will be trained.
        tasks: Number of tasks T.
        options: The user's choices.
        probe: Makes a few rows of two tasks or more as a batch whose groups are cut by task, on the model's device.
        reduce_sum: Adds a tensor up over the processes.
        scope: The parameters whose gradients are wanted by task; None: all shared ones. The others get their
            gradient from autograd, or, where the combination of all is wanted, at once.
        whole: Whether whole rows are wanted, with a column for every parameter.
        all_combined: Whether the combined gradient is of all shared parameters, not only of those in scope.
    """

    def __init__(
        self,
        model: Any,
        tasks: int,
        options: GradientOptions,
        probe: Callable[[], Mapping[str, Any]],
        reduce_sum: Callable[[Tensor], Tensor],
        scope: Sequence[nn.Parameter] | None = None,
        whole: bool = False,
        all_combined: bool = True,
    ):
        self.model = model
        self.tasks = tasks
        self._reduce_sum = reduce_sum
        wanted = None if scope is None or all_combined else {id(parameter) for parameter in scope}
        self.parameters = [p for p in shared_parameters(model) if wanted is None or id(p) in wanted]
        layers = self._choose_layout(options, probe)
        self.layout: Layout = "segments" if layers else "split"
        mine = {id(parameter) for parameter in self.parameters}
        self._layers = [layer for layer in layers if any(id(p) in mine for p in layer.parameters.values())]
        self._tape = Tape(model.encoder, self._layers)
        self.held: Rows | Recomputed = self._make_room(options, whole, scope is not None)

    def begin(self) -> None:
        """Start a step."""
        self._tape.forget()
        self.held.begin()

    @contextmanager
    def micro_batch(self, batch: Mapping[str, Any]) -> Iterator[None]:
        """Around the forward and the backward of one micro-batch.

        Args:
            batch: A collated batch whose groups are cut by task.
        """
        if self.layout == "split":
            yield
            return
        with self._tape.recording([group["cut"] for group in batch["groups"]]):
            yield
            self.held.collect(self._tape.layers)

    def take(self, task: int) -> None:
        """After the backward of one task's part, with the layout ``split``."""
        assert isinstance(self.held, Rows)
        self.held.add_task(task)

    def close(self) -> HeldGradients:
        """Add up over the processes."""
        self.held.close()
        return self.held

    def _choose_layout(self, options: GradientOptions, probe: Callable[[], Mapping[str, Any]]) -> list[Taped]:
        if options.layout == "split":
            return []
        layers, reason = find_layers(self.model)
        if reason is None:
            reason = why_not_segments(self.model, layers, probe())
        # One process that differs would wait for gradients that the others never send.
        against = torch.tensor(float(reason is not None), device=self.parameters[0].device)
        if not float(self._reduce_sum(against)):
            logger.info("Task gradients: one mixed forward and backward, weight gradients formed per task.")
            return layers
        logger.warning_once(
            f"Task gradients: length groups of one task each and a backward for each task, because "
            f"{reason or 'another process cannot do otherwise'}."
        )
        return []

    def _make_room(self, options: GradientOptions, whole: bool, scoped: bool) -> Rows | Recomputed:
        tables = lookup_tables(self.parameters, self.model.encoder)
        device = self.parameters[0].device
        columns = sum(p.numel() for index, p in enumerate(self.parameters) if whole or index not in tables)
        can_recompute = self.layout == "segments" and not whole
        hold = options.hold
        if hold == "auto":
            # Of parameters out of scope nobody wants rows.
            hold = (
                "recompute" if scoped and can_recompute else choose_hold(self.tasks, columns, device, can_recompute)
            )
        if hold == "recompute" and not can_recompute:
            logger.warning_once("Task gradients cannot be recomputed here; they are held as rows in bfloat16.")
            hold = "bfloat16"
        logger.info(f"Task gradients: {self.tasks} x {columns:,}, held as {hold}.")
        if hold == "recompute":
            return Recomputed(self.parameters, tables, self._layers, self.tasks, self._reduce_sum)
        dtype = torch.float32 if hold == "float32" else torch.bfloat16
        return Rows(self.parameters, tables, self.tasks, dtype, self._reduce_sum, whole)

    def rows_of(self, parameters: Sequence[nn.Parameter], whole: bool = False) -> Rows:
        """A place for other gradients by task.

        Args:
            parameters: Of what.
            whole: Whether whole rows are wanted.
        """
        mine = {id(parameter) for parameter in self.parameters}
        tables = lookup_tables(parameters, self.model.encoder) if all(id(p) in mine for p in parameters) else []
        return Rows(parameters, tables, self.tasks, torch.float32, self._reduce_sum, whole)

    def collect_into(self, rows: Rows) -> None:
        """Form the gradients of a backward that is not the step's own, inside `micro_batch`."""
        rows.collect(self._tape.layers)
