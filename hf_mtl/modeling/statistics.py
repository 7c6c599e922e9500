"""Statistics of training rows that losses keep in the checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from transformers import initialization as init

from hf_mtl.errors import ModelError
from hf_mtl.modeling.float32 import KeepsFloat32
from hf_mtl.tasks.statistics import Numbers, TaskStatistics

FAR = 3.0
"""From where on statistics are far from those of other rows: deviations of the mean, and ratios."""

_DEVIATIONS, _POINTS = 8.0, 513
"""Where a Gaussian is looked at to integrate over it: so many deviations to both sides, and so many points."""


class _Fitted(KeepsFloat32, TaskStatistics):
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

    kept: ClassVar[tuple[str, ...]] = ("mean", "std")
    in_float32: ClassVar[tuple[str, ...]] = kept

    def __init__(self, targets: int):
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(targets, dtype=torch.float32))
        self.register_buffer("std", torch.ones(targets, dtype=torch.float32))

    def _set(self, numbers: Mapping[str, Numbers]) -> None:
        # A constant target is only centred.
        deviations = torch.as_tensor(numbers["std"], dtype=torch.float32).reshape(-1)
        self._fill(self.std, torch.where(deviations == 0, torch.ones_like(deviations), deviations))
        self._fill(self.mean, numbers["mean"])

    def far_from(self, mean: Numbers, std: Numbers) -> list[int]:
        """Find the targets whose statistics here are far from those of some rows.

        Their means are more than 3 standard deviations apart, or their standard deviations differ by a factor of more
        than 3; constant targets of the rows have none.
        """
        means, deviations = (torch.as_tensor(values, dtype=torch.float64).reshape(-1) for values in (mean, std))
        here, spread = self.mean.cpu().double(), self.std.cpu().double()
        far = ((means - here).abs() > FAR * spread) | (_ratio(deviations, spread) & (deviations > 0))
        return far.nonzero().flatten().tolist()

    def reset(self) -> None:
        """Go back to mean 0 and standard deviation 1."""
        init.zeros_(self.mean)
        init.ones_(self.std)
        init.zeros_(self.fitted)

    def standardize(self, labels: Tensor) -> Tensor:
        """Bring targets [n, D] or [n] to zero mean and unit variance [n, D], float32."""
        # Not -1: a micro-batch without rows does not tell its number of targets.
        return (labels.reshape(labels.shape[0], len(self.mean)).float() - self.mean) / self.std

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring outputs [n, D] to original units, float32."""
        return outputs.float() * self.std + self.mean

    def restore_variance(self, variance: Tensor, outputs: Callable[[], Tensor]) -> Tensor:
        """Bring variances [n, D] to original units squared, float32."""
        return variance.float() * self.std**2

    def affine(self) -> tuple[Tensor, Tensor]:
        """Give mean and standard deviation."""
        return self.mean, self.std

    def for_metrics(self) -> dict[str, list[float]]:
        """Give mean and standard deviation, by these names."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}


class BoundedStatistics(_Fitted):
    """Standard deviation of each target over the training rows, and the range that outputs are kept in, float32 [D].

    Args:
        low: The lowest possible value of each target.
        high: The highest.
    """

    kept: ClassVar[tuple[str, ...]] = ("std",)
    in_float32: ClassVar[tuple[str, ...]] = ("std", "low", "high")

    def __init__(self, low: Sequence[float], high: Sequence[float]):
        super().__init__()
        self.std: Tensor
        self.low: Tensor
        self.high: Tensor
        self._range = (tuple(low), tuple(high))
        self.register_buffer("std", torch.ones(len(low), dtype=torch.float32))
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32))

    @property
    def told(self) -> object:
        """The lowest and the highest possible values."""
        return self._range

    def _set(self, numbers: Mapping[str, Numbers]) -> None:
        deviations = torch.as_tensor(numbers["std"], dtype=torch.float32).reshape(-1)
        self._fill(self.std, torch.where(deviations == 0, torch.ones_like(deviations), deviations))

    def far_from(self, std: Numbers) -> list[int]:
        """Find the targets whose deviation here differs from that of some rows by a factor of more than 3."""
        other = torch.as_tensor(std, dtype=torch.float64).reshape(-1)
        return (_ratio(self.std.cpu().double(), other) & (other > 0)).nonzero().flatten().tolist()

    def reset(self) -> None:
        """Go back to a standard deviation of 1."""
        init.ones_(self.std)
        init.zeros_(self.fitted)
        for buffer, values in zip((self.low, self.high), self._range, strict=True):
            init.copy_(buffer, torch.tensor(values, dtype=buffer.dtype))

    def standardize(self, labels: Tensor) -> Tensor:
        """Divide targets [n, D] or [n] by their deviations [n, D], float32."""
        return labels.reshape(labels.shape[0], len(self.std)).float() / self.std

    def compared(self, outputs: Tensor) -> Tensor:
        """Bring outputs [n, D] into the range, divided by the targets' deviations, float32."""
        return self.restore(outputs) / self.std

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring outputs [n, D] into the range by a sigmoid, float32."""
        # Not low + span * sigmoid, which rounding could bring beyond the highest.
        return torch.lerp(self.low, self.high, torch.sigmoid(outputs.float()))

    def restore_variance(self, variance: Tensor, outputs: Callable[[], Tensor]) -> Tensor:
        """Find the variances in the range [n, D] of outputs that are spread as a Gaussian, float32."""
        points = torch.linspace(-_DEVIATIONS, _DEVIATIONS, _POINTS, dtype=torch.float64, device=variance.device)
        weights = torch.softmax(-points.square() / 2, dim=0)
        values = torch.sigmoid(outputs().double()[..., None] + variance.double().sqrt()[..., None] * points)
        mean = (values * weights).sum(dim=-1, keepdim=True)
        found = ((values - mean).square() * weights).sum(dim=-1) * (self.high - self.low).double() ** 2
        return found.float()

    def for_metrics(self) -> dict[str, list[float]]:
        """Give the standard deviation, by its name."""
        return {"std": self.std.tolist()}


class ClassWeights(_Fitted):
    """One loss weight per class in id order, float32 [C]."""

    kept: ClassVar[tuple[str, ...]] = ("weights",)
    in_float32: ClassVar[tuple[str, ...]] = kept

    def __init__(self, classes: int):
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.ones(classes, dtype=torch.float32))

    @property
    def loss_weights(self) -> Tensor:
        """The weights [C]."""
        return self.weights

    def _set(self, numbers: Mapping[str, Numbers]) -> None:
        self._fill(self.weights, numbers["weights"])

    def far_from(self, weights: Numbers) -> list[int]:
        """Find the classes whose weight here differs from that of some rows by a factor of more than 3.

        A class that has no weight there, for want of rows, is none of them.
        """
        other = torch.as_tensor(weights, dtype=torch.float64).reshape(-1)
        return (_ratio(self.weights.cpu().double(), other) & (other > 0)).nonzero().flatten().tolist()

    def reset(self) -> None:
        """Let every class weigh 1."""
        init.ones_(self.weights)
        init.zeros_(self.fitted)


class LabelWeights(_Fitted):
    """Loss weights of each label's rows, of those that have it and of those that have not, float32 [L] each."""

    kept: ClassVar[tuple[str, ...]] = ("negative", "positive")
    in_float32: ClassVar[tuple[str, ...]] = kept

    def __init__(self, labels: int):
        super().__init__()
        self.negative: Tensor
        self.positive: Tensor
        self.register_buffer("negative", torch.ones(labels, dtype=torch.float32))
        self.register_buffer("positive", torch.ones(labels, dtype=torch.float32))

    @property
    def loss_weights(self) -> Tensor:
        """The weights of rows without and with each label, [2, L]."""
        return torch.stack([self.negative, self.positive])

    def _set(self, numbers: Mapping[str, Numbers]) -> None:
        for name in self.kept:
            self._fill(getattr(self, name), numbers[name])

    def far_from(self, positive: Numbers) -> list[int]:
        """Find the labels whose positive weight here differs from that of some rows by a factor of more than 3."""
        other = torch.as_tensor(positive, dtype=torch.float64).reshape(-1)
        return _ratio(self.positive.cpu().double(), other).nonzero().flatten().tolist()

    def reset(self) -> None:
        """Let every row weigh 1."""
        init.ones_(self.negative)
        init.ones_(self.positive)
        init.zeros_(self.fitted)


def _ratio(one: Tensor, other: Tensor) -> Tensor:
    """Find where numbers, not negative, differ by a factor of more than 3."""
    return (one > FAR * other) | (other > FAR * one)


def far_note(kept: str, here: str) -> str:
    """Say that what a model keeps is far from its new rows.

    Args:
        kept: What it keeps, with the numbers.
        here: The numbers of the rows.
    """
    return (
        f"the model keeps the {kept} from the rows that it was first trained on; these rows have {here}. "
        "Set training.refit_statistics to renew what it knows of its rows; predicted targets move with it."
    )
