"""Statistics of the training rows that a task's loss needs; they live in the checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

from torch import Tensor, nn

from hf_mtl.errors import ModelError

Numbers: TypeAlias = Tensor | Sequence[float] | float


class TaskStatistics(nn.Module):
    """Statistics of a task that needs none. A task that needs some has a subclass, with buffers for its numbers."""

    kept: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that `fit` sets."""

    @property
    def loss_weights(self) -> Tensor | None:
        """Weights by output, [C] or [2, C], which the row losses take; None where outputs weigh the same."""
        return None

    @property
    def told(self) -> object:
        """What the task itself tells, and no rows, of how outputs come to the units of the labels; None: nothing."""
        return None

    @property
    def is_fitted(self) -> bool:
        """Tell whether everything that the loss needs is here."""
        return True

    def fit(self, **numbers: Numbers) -> None:
        """Set the numbers, all of them.

        Raises:
            ModelError: If the loss keeps others, or they are not finite, or not one for each output.
        """
        if numbers.keys() != set(self.kept):
            keeps, given = (" and ".join(names) or "nothing" for names in (self.kept, numbers))
            raise ModelError(f"its loss keeps {keeps} of the training rows, found {given}")
        self._set(numbers)

    def _set(self, numbers: Mapping[str, Numbers]) -> None:
        """Set the numbers, which are those that are kept."""

    def reset(self) -> None:
        """Forget what was fitted; also how the loader fills buffers that a checkpoint lacks."""

    def standardize(self, labels: Tensor) -> Tensor:
        """Bring labels to the units in which the loss compares them."""
        return labels

    def compared(self, outputs: Tensor) -> Tensor:
        """Bring the head's outputs to the units in which the loss compares them."""
        return outputs

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring the head's outputs to the units of the labels."""
        return outputs

    def restore_variance(self, variance: Tensor, outputs: Callable[[], Tensor]) -> Tensor:
        """Bring variances of the head's outputs to the units of the labels, squared.

        Args:
            variance: The variances.
            outputs: Gives the outputs, around which they are, where these are needed.
        """
        return variance

    def affine(self) -> tuple[Tensor, Tensor] | None:
        """Give the shift and the scale [C] with which `restore` changes outputs; None: it does not."""
        return None

    def for_metrics(self) -> dict[str, list[float]]:
        """Give the numbers that metrics may read, by name."""
        return {}
