"""Task gradients of the shared parameters in training: the one object that a trainer drives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hf_mtl.balancing.gradient_options import GradientOptions
from hf_mtl.batch import Batch
from hf_mtl.errors import Mistake, UserError
from hf_mtl.gradients.choice import (
    Hold,
    choose_hold,
    find_layers,
    lookup_tables,
    shared_parameters,
    why_not_segments,
)
from hf_mtl.gradients.held import HeldGradients
from hf_mtl.gradients.jacobian_rows import JacobianRows
from hf_mtl.gradients.recomputed import Recomputed
from hf_mtl.gradients.tape import Tape, Taped, sights
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

Layout = Literal["segments", "split"]


@dataclass(frozen=True)
class Wanted:
    """The demands that a run's methods make on the gradients of single tasks.

    Args:
        scope: The parameters whose gradients are wanted by task; None: all shared ones. The others get their
            gradient from autograd, or, where the combination of all is wanted, at once.
        whole: Whether whole rows are wanted, with a column for every parameter.
        steady: Whether these have to be the same columns in every step; otherwise tables have those of the tokens
            that occur.
        all_combined: Whether the combined gradient is of all shared parameters, not only of those in scope.
        several_batches: Whether a step has several micro-batches, of all of which `recompute` keeps the activations.
    """

    scope: Sequence[nn.Parameter] | None = None
    whole: bool = False
    steady: bool = True
    all_combined: bool = True
    several_batches: bool = False

    def of(self, shared: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """Choose the shared parameters whose gradients are formed."""
        if self.scope is None or self.all_combined:
            return list(shared)
        chosen = {id(parameter) for parameter in self.scope}
        return [parameter for parameter in shared if id(parameter) in chosen]


_ALL = Wanted()


class SharedGradients:
    """Forms and holds the gradient of every task, one optimizer step at a time.

    A step: `begin`, then for each micro-batch its forward and backward inside `micro_batch`, then `close`. With the
    layout ``split`` the backward is one for each task, each followed by `take`.

    Args:
        model: A `MultiTaskModel`, where it will be trained.
        tasks: Number of tasks T.
        options: The user's choices.
        probe: A few rows of two tasks or more, as a batch that is cut by task, on the model's device.
        processes: This process among the others.
        wanted: What is wanted of the gradients.
        aside: Whether this only looks at a run that trains in another way, which a warning would be wrong about.

    Raises:
        UserError: If the layout ``segments`` is asked for and the model cannot do it.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: int,
        options: GradientOptions,
        probe: Batch,
        processes: Processes,
        wanted: Wanted = _ALL,
        aside: bool = False,
    ):
        self.model = model
        self.tasks = tasks
        self._processes = processes
        self._wanted = wanted
        self._say = logger.info if aside else logger.warning_once
        self.parameters = wanted.of(shared_parameters(model))
        layers = self._choose_layout(options, probe)
        self.layout: Layout = "segments" if layers else "split"
        mine = {id(parameter) for parameter in self.parameters}
        self._layers = [layer for layer in layers if any(id(p) in mine for p in layer.parameters.values())]
        self._tape = Tape(model.encoder, self._layers)
        self._tables = lookup_tables(self.parameters, model.encoder)
        self.hold: Hold = self._agree(self._choose_hold(options))
        columns = sum(parameter.numel() for parameter in self.parameters)
        logger.info(f"Task gradients: {tasks} x {columns:,}, held as {self.hold}.")
        self._held: JacobianRows | Recomputed | None = None

    @property
    def held(self) -> JacobianRows | Recomputed:
        """The gradients of this step; room for them is made on demand."""
        self._held = self._held or self.another()
        return self._held

    def begin(self) -> None:
        """Start a step."""
        self._tape.forget()
        self.held.begin()

    def release(self) -> None:
        """Give the room back."""
        self._held = None

    @contextmanager
    def micro_batch(self, batch: Batch) -> Iterator[None]:
        """Form the gradients of one micro-batch out of its forward and its backward.

        Args:
            batch: A collated batch that is cut by task.
        """
        if self.layout == "split":
            yield
            return
        with self._tape.recording(sights(batch["packed"], self.model.packs)):
            yield
            self.held.collect(self._tape.layers)

    def take(self, task: int) -> None:
        """Take one task's gradient after the backward of its part, with the layout ``split``."""
        assert isinstance(self.held, JacobianRows)
        self.held.add_task(task)

    def close(self) -> HeldGradients:
        """Add up over the processes."""
        self.held.close()
        return self.held

    def _choose_layout(self, options: GradientOptions, probe: Batch) -> list[Taped]:
        if options.layout == "split":
            return []
        layers, reason = find_layers(self.model)
        if reason is None:
            reason = why_not_segments(self.model, layers, probe)
        # One process that differs would wait for gradients that the others never send.
        if not self._anywhere(reason is not None):
            logger.info("Task gradients: one mixed forward and backward, weight gradients formed per task.")
            return layers
        reason = reason or "another process cannot do otherwise"
        if options.layout == "segments":
            raise UserError(Mistake("balancing.gradients.layout", f"'segments', but {reason}", "Use auto, or split"))
        self._say(f"Task gradients: rows of one task at a time and a backward for each, because {reason}.")
        return []

    def _anywhere(self, here: bool) -> bool:
        return bool(self._processes.reduce_sum(torch.tensor(float(here), device=self.parameters[0].device)))

    def _choose_hold(self, options: GradientOptions) -> Hold:
        wanted = self._wanted
        # Only a tape has what gradients are formed from again; and whole rows have to be there at once.
        can_recompute = self.layout == "segments" and not wanted.whole
        if options.hold == "recompute" and not can_recompute:
            self._say("Task gradients cannot be recomputed here; they are held as rows.")
        elif options.hold != "auto":
            return options.hold
        if wanted.scope is not None and wanted.all_combined and can_recompute and not wanted.several_batches:
            return "recompute"  # of parameters out of scope, which are combined too, nobody wants rows
        # Tables keep the rows of tokens that occur, which do not count here, unless columns have to be steady.
        apart = () if wanted.whole and wanted.steady else self._tables
        columns = sum(p.numel() for index, p in enumerate(self.parameters) if index not in apart)
        return choose_hold(self.tasks, columns, self.parameters[0].device, can_recompute)

    def _agree(self, hold: Hold) -> Hold:
        """Return what needs the least memory of what the processes would choose."""
        return next(one for one in ("recompute", "bfloat16", "float32") if self._anywhere(hold == one))

    def another(self) -> JacobianRows | Recomputed:
        """Make room for the gradients of one more backward of the same parameters."""
        if self.hold == "recompute":
            return Recomputed(self.parameters, self._tables, self._layers, self.tasks, self._processes)
        return self.jacobian_rows(self.parameters, self._wanted.whole, self._wanted.steady)

    def jacobian_rows(
        self, parameters: Sequence[nn.Parameter], whole: bool = False, steady: bool = True
    ) -> JacobianRows:
        """Return a place for other gradients by task.

        Args:
            parameters: Of what.
            whole: Whether whole rows are wanted.
            steady: Whether their columns have to be the same in every step.
        """
        mine = {id(parameter) for parameter in self.parameters}
        tables = lookup_tables(parameters, self.model.encoder) if all(id(p) in mine for p in parameters) else []
        dtype = torch.bfloat16 if self.hold == "bfloat16" else torch.float32
        return JacobianRows(parameters, tables, self.tasks, dtype, self._processes, whole, steady)

    def collect_into(self, held: JacobianRows | Recomputed) -> None:
        """Form the gradients of a backward that is not the step's own, inside `micro_batch`."""
        held.collect(self._tape.layers)
