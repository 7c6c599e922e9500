"""Task gradients held as the rows of a Jacobian."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from hf_mtl.balancing import combine, gramian_of, room
from hf_mtl.gradients.held import Chosen
from hf_mtl.gradients.layers import TapedEmbedding
from hf_mtl.gradients.tables import TableRows
from hf_mtl.gradients.tape import Call, Taped
from hf_mtl.processes import Processes


class JacobianRows:
    """A row per task over all shared parameters; one buffer for all steps.

    Tables of embeddings keep only the rows of tokens that occur, unless steady columns are wanted.

    Args:
        parameters: The shared parameters.
        tables: Those that are only ever looked up, as indices into ``parameters``.
        tasks: Number of tasks T.
        dtype: float32, or bfloat16 for half the memory.
        processes: This process among the others.
        whole: Whether `jacobian` will be asked for.
        steady: Whether its columns have to be the same parameters in every step.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        tables: Sequence[int],
        tasks: int,
        dtype: torch.dtype,
        processes: Processes,
        whole: bool = False,
        steady: bool = True,
    ):
        self.parameters = list(parameters)
        self.tasks = tasks
        self.device = self.parameters[0].device
        self._processes = processes
        apart = () if whole and steady else tables
        self._appends = whole and not steady
        self.tables = {
            id(table): TableRows(table.shape[0], table.shape[1], tasks, dtype, self.device)
            for table in (self.parameters[index] for index in apart)
        }
        self._start: dict[int, int] = {}
        width = 0
        for parameter in self.parameters:
            if id(parameter) not in self.tables:
                self._start[id(parameter)] = width
                width += parameter.numel()
        self.width = width
        self._room = room(tasks, width, dtype=dtype, device=self.device)
        self._written: set[int] = set()

    @property
    def values(self) -> Tensor:
        """The columns of all parameters but tables, [T, width]."""
        return self._room[:, : self.width]

    def begin(self) -> None:
        """Start a step."""
        self._written = set()
        for table in self.tables.values():
            table.begin()

    def collect(self, layers: Sequence[Taped]) -> None:
        """Form the gradients of what a tape has recorded, and let it go."""
        for layer in layers:
            calls, layer.calls = layer.calls, []
            if not calls:
                continue
            present = sorted({task for call in calls for task, _, _ in call.cut})
            for name, parameter in layer.parameters.items():
                if id(parameter) in self.tables:
                    self._look_up(layer, calls, parameter)
                else:
                    into, fresh = self._slot(parameter)
                    if fresh:
                        self._clear_absent(into, present)
                    layer.add(name, present, calls, into, fresh)

    def add_task(self, task: int) -> None:
        """Take one task's gradient from the parameters' ``grad``, and empty these."""
        for parameter in self.parameters:
            gradient, parameter.grad = parameter.grad, None
            if gradient is None:
                continue
            if id(parameter) in self.tables:
                touched = (gradient != 0).any(1).nonzero().flatten()  # of a gradient that is not finite too
                self.tables[id(parameter)].add(task, touched, gradient[touched])
                self._written.add(id(parameter))
                continue
            into, fresh = self._slot(parameter)
            if fresh:
                into.zero_()
            into[task] += gradient

    def close(self) -> None:
        """Add up over the processes; nothing can be added afterwards."""
        anywhere = self._processes.anywhere([id(p) in self._written for p in self.parameters], self.device)
        for parameter, is_written in zip(self.parameters, anywhere, strict=True):
            if id(parameter) in self.tables:
                self.tables[id(parameter)].close(self._processes)
            elif id(parameter) not in self._written:
                self._view(parameter).zero_()
            if is_written:
                self._written.add(id(parameter))
        self._reduce_rows()
        if self._appends:
            self._append_tables()

    def _append_tables(self) -> None:
        """Put the tables' rows behind the others."""
        ends = np.cumsum([self.width, *(table.values.shape[1] for table in self.tables.values())]).tolist()
        if ends[-1] > self._room.shape[1]:
            # A quarter more than the step needs: the tokens that occur are more in one step and fewer in another.
            spare = (ends[-1] - self.width) // 4
            before = self.values
            self._room = room(self.tasks, ends[-1] + spare, dtype=before.dtype, device=self.device)
            self.values.copy_(before)
        for table, (start, stop) in zip(self.tables.values(), pairwise(ends), strict=True):
            self._room[:, start:stop] = table.values
            table.values = self._room[:, start:stop]
        self._used = ends[-1]

    def gramian(self, chosen: Chosen | None = None) -> Tensor:
        """Form G [T, T]; see `HeldGradients`."""
        parts = [self.values] if chosen is None else [self._view(p).flatten(1) for p in self._dense() if chosen(p)]
        for parameter in self.parameters:
            if id(parameter) in self.tables and (chosen is None or chosen(parameter)):
                parts.append(self.tables[id(parameter)].values)
        return gramian_of(lambda: parts, self.tasks, self.device)

    def combine(self, weights: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Form Jᵀ w, parameter by parameter; see `HeldGradients`."""
        yield from self.split(combine(weights, self.values))
        for parameter in self.parameters:
            if id(parameter) in self.tables and id(parameter) in self._written:
                table = self.tables[id(parameter)]
                yield parameter, table.dense(combine(weights, table.values)).to(parameter.dtype)

    def jacobian(self) -> Tensor:
        """Give J [T, P], the buffer itself; with ``whole`` only."""
        assert self._appends or not self.tables
        return self._room[:, : self._used] if self._appends else self.values

    def scale(self, factors: Tensor) -> None:
        """Multiply each task's row; with ``whole`` only.

        Args:
            factors: [T].
        """
        factors = factors.to(self.values, non_blocking=True)
        # As many rows of each task, and T x P numbers stay what they are; to see it on a GPU is to wait for it.
        if self.values.device.type != "cpu" or not bool((factors == 1).all()):
            self.jacobian().mul_(factors[:, None])

    def split(self, direction: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Yield a direction [P], or that of all but tables, as gradients of the parameters that had one."""
        for parameter in self._dense():
            if id(parameter) in self._written:
                start = self._start[id(parameter)]
                part = direction[start : start + parameter.numel()]
                yield parameter, part.view_as(parameter).to(parameter.dtype)
        start = self.width
        for parameter in self.parameters if len(direction) > self.width else ():
            if table := self.tables.get(id(parameter)):
                part = direction[start : start + table.values.shape[1]]
                start += len(part)
                if id(parameter) in self._written:
                    yield parameter, table.dense(part).to(parameter.dtype)

    def _dense(self) -> Iterator[nn.Parameter]:
        return (parameter for parameter in self.parameters if id(parameter) in self._start)

    def _view(self, parameter: nn.Parameter) -> Tensor:
        start = self._start[id(parameter)]
        return self.values[:, start : start + parameter.numel()].view(self.tasks, *parameter.shape)

    def _slot(self, parameter: nn.Parameter) -> tuple[Tensor, bool]:
        fresh = id(parameter) not in self._written
        self._written.add(id(parameter))
        return self._view(parameter), fresh

    def _clear_absent(self, into: Tensor, present: Sequence[int]) -> None:
        # One buffer serves all steps: the rows of tasks that nothing writes hold the gradients of a step before.
        for task in range(self.tasks):
            if task not in present:
                into[task].zero_()

    def _look_up(self, layer: Taped, calls: Sequence[Call], parameter: nn.Parameter) -> None:
        assert isinstance(layer, TapedEmbedding)
        self._written.add(id(parameter))
        for call in calls:
            for task, start, stop in call.cut:
                touched = layer.touched(call.inputs[start:stop], call.gradient[start:stop])
                self.tables[id(parameter)].add(task, *touched)

    def _reduce_rows(self) -> None:
        """Add up over the processes in float32, so that shorter rows are rounded only once more; in blocks."""
        if self.values.dtype == torch.float32:
            for row in [self._room] if self._room.shape[1] == self.width else self.values:  # contiguous ones
                reduced = self._processes.reduce_sum(row)
                if reduced is not row:
                    row.copy_(reduced)
            return
        for block in self.values.split(1 << 22, dim=1):
            exact = block.float()
            reduced = self._processes.reduce_sum(exact)
            if reduced is exact:  # this process is the only one
                return
            block.copy_(reduced)
