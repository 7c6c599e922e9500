"""The records that training logs about each task, under names that do not change."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hf_mtl.training.step.result import StepResult

_STATE = (
    *("average", "reference", "observed", "rows", "scheduled"),
    *("_steps", "_present", "_losses", "_weights", "_counts", "_coefficients"),
)


class TaskSignals:
    """Averages per task since the last log, and a running loss per task since the start.

    Logs ``loss/<task>`` (mean over the steps that had the task), ``weight/<task>`` (mean coefficient),
    ``share/<task>`` (share of the rows), ``passes/<task>`` (times that the task's rows have been seen) and
    ``relative_loss/<task>``: a bias-corrected moving average of the loss, over the mean of the first steps.
    Schedules add ``coefficient/<task>`` (mean gamma_t; 0 where they had the task sit out) once any of them is not 1.
    Heads add ``loss/<task>/<penalty>`` (mean of a penalty, before its factor, over the steps that had the task) and
    ``<gauge>/<task>``, such as ``tau/emotion`` (mean over the steps).

    Args:
        sizes: Training rows of each task, in task order.
        beta: Decay of the moving average, per step with the task.
        reference_steps: Steps with the task that make the reference.
    """

    def __init__(self, sizes: Mapping[str, int], beta: float = 0.9, reference_steps: int = 20):
        self.names = list(sizes)
        self.beta = beta
        self.reference_steps = reference_steps
        shape = len(sizes)
        self.sizes = torch.tensor(list(sizes.values()), dtype=torch.float64)
        self.average = torch.zeros(shape, dtype=torch.float64)
        self.reference = torch.zeros(shape, dtype=torch.float64)
        self.observed = torch.zeros(shape, dtype=torch.float64)
        self.rows = torch.zeros(shape, dtype=torch.float64)
        self.scheduled = torch.zeros((), dtype=torch.bool)
        self._reset()

    def _reset(self) -> None:
        """Start the averages that one log record reports."""
        self._steps = 0
        self._present = torch.zeros_like(self.average)
        self._losses = torch.zeros_like(self.average)
        self._weights = torch.zeros_like(self.average)
        self._counts = torch.zeros_like(self.average)
        self._coefficients = torch.zeros_like(self.average)
        self._penalties: dict[tuple[str, str], Tensor] = {}
        self._gauges: dict[str, Tensor] = {}

    def observe(self, result: StepResult) -> None:
        """Take one optimizer step."""
        result = result.on_host
        losses, counts, weights, gamma = (value.detach().double() for value in _tensors(result))
        present = result.present
        self._steps += 1
        self._present += present
        self._losses += losses
        self._weights += weights
        self._coefficients += gamma
        self.scheduled = self.scheduled | (gamma != 1).any()
        self._counts += counts
        self.rows += counts
        for key, value in result.penalties.items():
            self._penalties[key] = self._penalties.get(key, 0) + value.detach()
        seen = present & torch.isfinite(losses)  # one that is not would stay in the averages
        early = seen & (self.observed < self.reference_steps)
        self.observed += seen
        self.average = torch.where(seen, self.beta * self.average + (1 - self.beta) * losses, self.average)
        mean = self.reference + (losses - self.reference) / self.observed.clamp(min=1)
        self.reference = torch.where(early, mean, self.reference)

    def observe_gauges(self, gauges: Mapping[str, Tensor]) -> None:
        """Take the heads' gauges after one optimizer step."""
        for key, value in gauges.items():
            self._gauges[key] = self._gauges.get(key, 0) + value

    def relative_losses(self) -> Tensor:
        """Return moving average of each task's loss over its reference, [T]; nan before a task was seen."""
        corrected = self.average / (1 - self.beta**self.observed)
        return corrected / self.reference.clamp(min=1e-8)

    def flush(self) -> dict[str, float]:
        """Return the record since the last one; a task without rows since then reports no loss."""
        if self._steps == 0:
            return {}
        record: dict[str, float] = {}
        share, relative, passes = self._counts / self._counts.sum(), self.relative_losses(), self.rows / self.sizes
        for index, name in enumerate(self.names):
            if self._present[index] > 0:
                record[f"loss/{name}"] = float(self._losses[index] / self._present[index])
                record[f"relative_loss/{name}"] = float(relative[index])
            record[f"weight/{name}"] = float(self._weights[index] / self._steps)
            if self.scheduled:
                record[f"coefficient/{name}"] = float(self._coefficients[index] / self._steps)
            record[f"share/{name}"] = float(share[index])
            record[f"passes/{name}"] = float(passes[index])
        for (task, name), total in self._penalties.items():
            if (present := self._present[self.names.index(task)]) > 0:
                record[f"loss/{task}/{name}"] = float(total / present)
        record.update({key: float(total / self._steps) for key, total in self._gauges.items()})
        self._reset()
        return record

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run continues, with the averages of a record that is not due yet."""
        sums = {**{"/".join(key): value for key, value in self._penalties.items()}, **self._gauges}
        # Kept in float64 with the name of each dtype: a resumed run adds up in the same precision as before.
        types = [str(value.dtype).removeprefix("torch.") for value in sums.values()]
        exact = torch.tensor([float(value) for value in sums.values()], dtype=torch.float64)
        return {
            **{key: getattr(self, key) for key in _STATE},
            "penalties": [[*key] for key in self._penalties],
            "gauges": list(self._gauges),
            "types": types,
            "sums": exact,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        for key in _STATE:
            setattr(self, key, state[key])
        sums = [value.to(getattr(torch, name)) for value, name in zip(state["sums"], state["types"], strict=True)]
        penalties = [(task, name) for task, name in state["penalties"]]
        self._penalties = dict(zip(penalties, sums, strict=False))
        self._gauges = dict(zip(state["gauges"], sums[len(penalties) :], strict=True))


def _tensors(result: StepResult) -> Sequence[Tensor]:
    return result.losses, result.counts, result.weights, result.coefficients
