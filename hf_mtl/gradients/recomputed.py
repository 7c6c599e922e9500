"""Task gradients that are not held: formed from the tape once to be compared, and once combined."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from hf_mtl.balancing import combine, gramian_of
from hf_mtl.gradients.held import Chosen
from hf_mtl.gradients.layers import TapedEmbedding
from hf_mtl.gradients.tables import TableRows
from hf_mtl.gradients.tape import Call, Taped
from hf_mtl.processes import Processes


class Recomputed:
    """Keeps the inputs of a step's layers and the gradients of their outputs, and no gradient of a parameter.

    The second product is on the same activations: dropout has nothing to do with it.

    Args:
        parameters: The shared parameters.
        tables: Those that are only ever looked up, as indices into ``parameters``.
        layers: The layers that own them.
        tasks: Number of tasks T.
        processes: This process among the others.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        tables: Sequence[int],
        layers: Sequence[Taped],
        tasks: int,
        processes: Processes,
    ):
        self.parameters = list(parameters)
        # From the layers and not from their calls, so that all processes go the same way.
        # A parameter that several layers share, such as a tied weight, is combined at once only if all of them can.
        several = {id(p): layer.combines(name) for layer in layers for name, p in layer.parameters.items()}
        for layer in layers:
            for name, parameter in layer.parameters.items():
                several[id(parameter)] &= layer.combines(name)
        self._at_once = {key for key, all_can in several.items() if all_can}
        self.tasks = tasks
        self.device = self.parameters[0].device
        self._tables = {id(self.parameters[index]) for index in tables}
        self._processes = processes
        self.begin()

    def begin(self) -> None:
        """Start a step."""
        self._uses: dict[int, list[tuple[Taped, str, list[Call]]]] = {}
        self._anywhere: set[int] = set()

    def collect(self, layers: Sequence[Taped]) -> None:
        """Keep what a tape has recorded."""
        for layer in layers:
            calls, layer.calls = layer.calls, []
            for name, parameter in layer.parameters.items() if calls else ():
                self._uses.setdefault(id(parameter), []).append((layer, name, calls))

    def close(self) -> None:
        """Agree with the other processes on which parameters there are gradients of."""
        used = self._processes.anywhere([id(p) in self._uses for p in self.parameters], self.device)
        self._anywhere = {id(p) for p, is_used in zip(self.parameters, used, strict=True) if is_used}

    def gramian(self, chosen: Chosen | None = None) -> Tensor:
        """Form G [T, T], one parameter at a time; see `HeldGradients`."""
        wanted = [parameter for parameter in self._used() if chosen is None or chosen(parameter)]

        def parts() -> Iterator[Tensor]:
            for parameter in wanted:
                is_table = id(parameter) in self._tables
                yield self._table(parameter).values if is_table else self._rows(parameter)

        return gramian_of(parts, self.tasks, self.device)

    def combine(self, weights: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Form Jᵀ w, parameter by parameter; see `HeldGradients`."""
        weights = weights.to(self.device, torch.float32, non_blocking=True)
        # Some methods' weights are large, and a loss scaler's factor is in the gradients: half precision has no room.
        size = weights.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        weights = weights / size
        for parameter in self._used():
            if id(parameter) in self._tables:
                table = self._table(parameter)
                yield parameter, table.dense(combine(weights, table.values) * size).to(parameter.dtype)
                continue
            if id(parameter) in self._at_once:
                total = torch.zeros_like(parameter, dtype=torch.float32)
                for layer, name, calls in self._uses.get(id(parameter), []):
                    layer.add_combined(name, calls, weights, total)
                total = self._processes.reduce_sum(total)
            else:
                total = combine(weights, self._rows(parameter)).view_as(parameter)
            yield parameter, (total * size).to(parameter.dtype)

    def _used(self) -> Iterator[nn.Parameter]:
        return (parameter for parameter in self.parameters if id(parameter) in self._anywhere)

    def _rows(self, parameter: nn.Parameter) -> Tensor:
        """Form every task's gradient of one parameter, [T, numel]."""
        rows = torch.zeros(self.tasks, *parameter.shape, dtype=torch.float32, device=self.device)
        for layer, name, calls in self._uses.get(id(parameter), []):
            layer.add(name, sorted({task for call in calls for task, _, _ in call.cut}), calls, rows, fresh=False)
        return self._processes.reduce_sum(rows.flatten(1))

    def _table(self, parameter: nn.Parameter) -> TableRows:
        table = TableRows(parameter.shape[0], parameter.shape[1], self.tasks, torch.float32, self.device)
        for layer, _, calls in self._uses.get(id(parameter), []):
            assert isinstance(layer, TapedEmbedding)
            for call in calls:
                for task, start, stop in call.cut:
                    table.add(task, *layer.touched(call.inputs[start:stop], call.gradient[start:stop]))
        table.close(self._processes)
        return table
