"""What a loss weighting is, and the registry that finds them."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

WEIGHTINGS: dict[str, type["LossWeighting"]] = {}


class LossWeighting(nn.Module):
    """Maps the task losses of one optimizer step to one scalar.

    Conventions (T tasks): additive methods return the sum over present tasks of kappa_t (w_t L_t + r_t), where
    kappa is the exposure and r_t the method's own penalty. ``weights()`` are the w_t last used, in the scale of
    the method's paper. Learned parameters live in the module, beside the model, in float64: they are T numbers.

    Subclasses register with `register` and take their recipe options as keyword arguments.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum, to compare methods of different scale. None: the
            method's own scale.
    """

    name: ClassVar[str]

    def __init__(self, num_tasks: int, weight_sum: float | None = None):
        super().__init__()
        if num_tasks < 1:
            raise ValueError(f"num_tasks is {num_tasks}; needs at least one task")
        if weight_sum is not None and weight_sum <= 0:
            raise ValueError(f"weight_sum is {weight_sum}; needs a positive number")
        self.num_tasks = num_tasks
        self.weight_sum = weight_sum
        self._last_weights: Tensor | None = None

    def coefficients(self) -> Tensor:
        """The coefficient w_t of every task now, [T], differentiable in the learned parameters."""
        raise TypeError(f"{type(self).__name__} defines neither coefficients() nor forward()")

    def penalties(self) -> Tensor:
        """The method's own penalty r_t of every task now, [T]."""
        return torch.zeros(self.num_tasks, dtype=torch.float64)

    def forward(self, losses: Tensor, present: Tensor | None = None, exposure: Tensor | None = None) -> Tensor:
        """The scalar to minimise.

        Args:
            losses: Task losses [T]; entries of absent tasks are ignored.
            present: Which tasks have rows in this step, bool [T]. None: all.
            exposure: kappa [T]. None: every present task counts once, kappa = T / number present.

        Returns:
            Scalar tensor.
        """
        weights = self._scaled_coefficients().to(losses)
        self._last_weights = weights.detach()
        if present is None:
            present = torch.ones(self.num_tasks, dtype=torch.bool, device=losses.device)
        if exposure is None:
            exposure = present.to(losses) * (self.num_tasks / present.sum().clamp(min=1))
        # where() before the product: an absent task's loss may be anything, nan included.
        data = torch.where(present, losses, torch.zeros_like(losses)) * weights + self.penalties().to(losses)
        return (torch.where(present, exposure.to(losses), torch.zeros_like(losses)) * data).sum()

    def weights(self) -> Tensor:
        """The coefficients w_t last used, [T]; before the first step, those that it would use."""
        return self._scaled_coefficients().detach() if self._last_weights is None else self._last_weights

    def _scaled_coefficients(self) -> Tensor:
        weights = self.coefficients()
        return weights if self.weight_sum is None else weights * (self.weight_sum / weights.detach().sum())

    def observe(self, **facts: Any) -> None:
        """Take what the method needs beyond losses, such as ``sizes=``; the base class needs nothing."""

    @torch.no_grad()
    def after_step(self) -> None:
        """Called after each optimizer step; where learned parameters return to their range."""


def register(name: str) -> Callable[[type[LossWeighting]], type[LossWeighting]]:
    """Make a weighting known under its recipe name."""

    def add(cls: type[LossWeighting]) -> type[LossWeighting]:
        cls.name = name
        WEIGHTINGS[name] = cls
        return cls

    return add


def one_per_task(values: Any, num_tasks: int, what: str) -> Tensor:
    """Read one positive number per task.

    Raises:
        ValueError: If the number of values is not ``num_tasks``, or one is not positive and finite.
    """
    tensor = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(tensor) != num_tasks or not bool(torch.isfinite(tensor).all() and (tensor > 0).all()):
        raise ValueError(f"{what} is {values}; needs one positive number for each of {num_tasks} tasks")
    return tensor
