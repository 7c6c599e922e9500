"""What a task's loss knows of its training rows; lives in the checkpoint."""

from collections.abc import Sequence
from functools import singledispatch
from typing import ClassVar, TypeAlias, TypeVar

import torch
from torch import Tensor
from transformers import initialization as init

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.float32 import KeepsFloat32
from hf_mtl.tasks import Regression, SequenceClassification, Task

Numbers: TypeAlias = Tensor | Sequence[float] | float
FAR = 3.0
"""From where on statistics are far from those of other rows: deviations of the mean, and ratios."""
_Kind = TypeVar("_Kind", bound="TaskStatistics")


class TaskStatistics(KeepsFloat32):
    """Statistics of a task that needs none."""

    @property
    def class_weights(self) -> Tensor | None:
        """A loss weight per class [C], or None where classes weigh the same."""
        return None

    @property
    def is_fitted(self) -> bool:
        """Whether everything that the loss needs is here."""
        return True

    def reset(self) -> None:
        """Forget what was fitted; also how the loader fills buffers that a checkpoint lacks."""

    def standardize(self, labels: Tensor) -> Tensor:
        """Bring labels to the units of the head's outputs."""
        return labels

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring the head's outputs to the units of the labels."""
        return outputs

    def restore_variance(self, variance: Tensor) -> Tensor:
        """Bring variances of the head's outputs to the units of the labels, squared."""
        return variance


class _Fitted(TaskStatistics):
    def __init__(self) -> None:
        super().__init__()
        self.fitted: Tensor
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @property
    def is_fitted(self) -> bool:
        return bool(self.fitted)

    def _fill(self, buffer: Tensor, values: Numbers) -> None:
        # In place: peft and the loader hold on to the buffer itself.
        given = torch.as_tensor(values, dtype=torch.float32).reshape(-1)
        if given.shape != buffer.shape or not torch.isfinite(given).all():
            raise ModelError(f"expected {buffer.numel()} finite numbers, found {given.tolist()}")
        with torch.no_grad():
            buffer.copy_(given)
            self.fitted.fill_(True)


class TargetStatistics(_Fitted):
    """Mean and standard deviation of each target over the training rows, float32 [D]."""

    in_float32: ClassVar[tuple[str, ...]] = ("mean", "std")

    def __init__(self, targets: int):
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(targets, dtype=torch.float32))
        self.register_buffer("std", torch.ones(targets, dtype=torch.float32))

    def fit(self, mean: Numbers, std: Numbers) -> None:
        """Set the statistics; a constant target (standard deviation 0) is only centred."""
        deviations = torch.as_tensor(std, dtype=torch.float32).reshape(-1)
        self._fill(self.std, torch.where(deviations == 0, torch.ones_like(deviations), deviations))
        self._fill(self.mean, mean)

    def far_from(self, mean: Numbers, std: Numbers) -> list[int]:
        """The targets whose statistics here are far from those of some rows.

        Their means are more than 3 standard deviations apart, or their standard deviations differ by a factor of more
        than 3; constant targets of the rows have none.
        """
        means, deviations = (torch.as_tensor(values, dtype=torch.float64).reshape(-1) for values in (mean, std))
        here, spread = self.mean.cpu().double(), self.std.cpu().double()
        far = ((means - here).abs() > FAR * spread) | (_ratio(deviations, spread) & (deviations > 0))
        return far.nonzero().flatten().tolist()

    def reset(self) -> None:
        """Mean 0, standard deviation 1."""
        init.zeros_(self.mean)
        init.ones_(self.std)
        init.zeros_(self.fitted)

    def standardize(self, labels: Tensor) -> Tensor:
        """Targets [n, D] or [n] to zero mean and unit variance [n, D], float32."""
        # Not -1: a micro-batch without rows does not tell its number of targets.
        return (labels.reshape(labels.shape[0], len(self.mean)).float() - self.mean) / self.std

    def restore(self, outputs: Tensor) -> Tensor:
        """Outputs [n, D] to original units, float32."""
        return outputs.float() * self.std + self.mean

    def restore_variance(self, variance: Tensor) -> Tensor:
        """Variances [n, D] to original units squared, float32."""
        return variance.float() * self.std**2


class ClassWeights(_Fitted):
    """One loss weight per class, float32 [C]."""

    in_float32: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, classes: int):
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.ones(classes, dtype=torch.float32))

    @property
    def class_weights(self) -> Tensor:
        """A loss weight per class [C]."""
        return self.weights

    def fit(self, weights: Numbers) -> None:
        """Set the weights, in id order."""
        self._fill(self.weights, weights)

    def far_from(self, weights: Numbers) -> list[int]:
        """The classes whose weight here differs from that of some rows by a factor of more than 3.

        A class that has no weight there, for want of rows, is none of them.
        """
        other = torch.as_tensor(weights, dtype=torch.float64).reshape(-1)
        return (_ratio(self.weights.cpu().double(), other) & (other > 0)).nonzero().flatten().tolist()

    def reset(self) -> None:
        """Every class weighs 1."""
        init.ones_(self.weights)
        init.zeros_(self.fitted)


def _ratio(one: Tensor, other: Tensor) -> Tensor:
    """Where numbers, not negative, differ by a factor of more than 3."""
    return (one > FAR * other) | (other > FAR * one)


@singledispatch
def build_statistics(task: Task) -> TaskStatistics:
    """The statistics that a task's loss needs, not fitted yet. Dispatches on the class of the task."""
    return TaskStatistics()


@build_statistics.register
def _(task: Regression) -> TaskStatistics:
    return TargetStatistics(task.num_outputs) if task.standardize else TaskStatistics()


@build_statistics.register
def _(task: SequenceClassification) -> TaskStatistics:
    return ClassWeights(task.num_outputs) if task.class_weights is not None else TaskStatistics()


def expect(statistics: TaskStatistics, kind: type[_Kind], task: str, remedy: str) -> _Kind:
    """Refuse to fit statistics that a task's loss does not use.

    Raises:
        ModelError: If the task keeps another kind of statistics.
    """
    if not isinstance(statistics, kind):
        raise ModelError(Mistake(f"tasks.{task}", f"its loss uses no {kind.__name__}", remedy))
    return statistics
