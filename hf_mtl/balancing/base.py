"""The base class of loss weightings, and the registry that finds them.

One optimizer step, as a trainer drives it:

1. Without ``losses`` in `LossWeighting.needs`, ``scalar(zeros, present, exposure)`` before the step: its value is the
   step's constant, its derivative the factor of each task loss. With it, the losses come first: ``forward`` with
   them, and the derivative of its value is the factor of each task loss in the backward.
2. ``forward(losses, present, exposure)`` exactly once, with the losses of the whole step: the exact scalar, whose
   gradient trains the learned parameters, and what the method remembers of the step.
3. ``observe(...)`` of what `LossWeighting.needs_now` asked for, then ``after_step()``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from hf_mtl.balancing.checks import Positive, whole
from hf_mtl.components import Kind

Need = Literal["losses", "norms", "jacobian", "losses_after"]
Numbers: TypeAlias = Tensor | Sequence[float]
SumsTo = Literal["1", "T", "own"]


class LossWeighting(nn.Module):
    """Maps the task losses of one optimizer step to one scalar.

    Conventions (T tasks): additive methods return the sum over present tasks of kappa_t (w_t L_t + r_t), where
    kappa is the exposure and r_t the method's own penalty. ``weights()`` are the w_t last used, in the scale of
    the method's paper. ``weight_sum`` multiplies the whole scalar, penalties too, so that learned parameters settle
    where they would without it. They live in the module, beside the model, in float64: they are T numbers. The
    trainer's optimizer trains ``parameters()``; whatever else a method learns it updates itself, in buffers.

    Subclasses register with `register` and take their recipe options as keyword arguments. They define
    `coefficients`, or `coefficients_at` where these depend on the step's own losses, and `record` if they remember.

    Attributes:
        source: The paper, for the table of methods; ``-``: none.
        other_names: What it is called in full, or elsewhere; who writes one is told the right name.
        needs: What a step must hand over: ``losses`` this step's losses before its backward, ``norms`` the norm of
            each task's gradient of the shared parameters in ``scope``, ``jacobian`` these gradients themselves,
            ``losses_after`` the losses of the same rows after the update.
        additive: Whether the scalar is a sum over tasks with their exposure; otherwise each present task is seen
            once, and exposure is ignored.
        cost: What the method costs beside equal weighting, for the table of methods.
        sums_to: What ``weights()`` sum to in the method's scale: ``1``, ``T``, or nothing fixed (``own``).

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum, to compare methods of different scale. None: the
            method's own scale.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "-"
    other_names: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[Need]] = frozenset()
    additive: ClassVar[bool] = True
    cost: ClassVar[str] = "nothing"
    sums_to: ClassVar[SumsTo] = "own"

    def __init__(self, num_tasks: int, weight_sum: Positive | None = None):
        super().__init__()
        self.num_tasks = whole(num_tasks, "num_tasks", at_least=1)
        self.weight_sum = weight_sum
        self._last_weights: Tensor | None = None

    # ---- What a method defines ----

    def coefficients(self) -> Tensor:
        """Return the coefficient w_t of every task now, [T], differentiable in the learned parameters."""
        raise TypeError(f"{type(self).__name__} defines neither coefficients() nor coefficients_at()")

    def coefficients_at(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the coefficient of every task for a step with these losses, [T].

        Args:
            losses: Detached task losses, float64 [T]; entries of absent tasks are anything.
            present: Which tasks have rows, bool [T].
        """
        return self.coefficients()

    def data_terms(self, losses: Tensor, coefficients: Tensor) -> Tensor:
        """Return what each present task's loss adds before exposure, [T]; its derivative is the coefficient."""
        return coefficients * losses

    def penalties(self) -> Tensor:
        """Return the method's own penalty r_t of every task now, [T]."""
        return torch.zeros(self.num_tasks, dtype=torch.float64)

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Remember a step, once its scalar is formed; nothing here. Called without gradient.

        The gradient of learned parameters is taken later: a tensor that `coefficients` reads beside them is replaced
        by a new one here, and not changed in place.

        Args:
            losses: Detached task losses, float64 [T].
            seen: Tasks that are present and whose loss is finite, bool [T]; the others' statistics stay.
        """

    def needs_now(self) -> frozenset[Need]:
        """Return what the coming step must hand over; a part of ``needs``."""
        return self.needs

    def observe(self, **facts: Any) -> None:
        """Take what the method needs beyond losses; each method takes what it knows and ignores the rest.

        Args:
            facts: At the start ``sizes=`` (training rows [T]), ``steps_per_epoch=``, ``total_steps=`` (optimizer
                steps of the run), ``seed=``; in a step ``norms=`` [T], ``jacobian=`` [T, P] (of the unweighted
                losses), ``losses_after=`` [T], with ``present=`` (bool [T]) where a zero does not mean an absent
                task.
        """

    @torch.no_grad()
    def after_step(self) -> None:
        """Do what follows each optimizer step: learned parameters return to their range."""

    def resting(self) -> Tensor:
        """Tell which tasks' learned parameter is at an end of its range, where it cannot follow the loss; bool
        [T].
        """
        return torch.zeros(self.num_tasks, dtype=torch.bool)

    # ---- What everybody calls ----

    def scalar(self, losses: Tensor, present: Tensor | None = None, exposure: Tensor | None = None) -> Tensor:
        """Return what `forward` returns, without remembering anything."""
        return self._evaluate(losses, *self._who(losses, present, exposure))[0]

    def forward(self, losses: Tensor, present: Tensor | None = None, exposure: Tensor | None = None) -> Tensor:
        """Compute the scalar to minimise. Call it once per optimizer step, since methods remember what they saw.

        Args:
            losses: Task losses [T]; entries of absent tasks are ignored.
            present: Which tasks have rows in this step, bool [T]. None: all.
            exposure: kappa [T]. None: every present task counts once, kappa = T / number present.

        Returns:
            Scalar tensor of the losses' dtype; computed in float64.
        """
        present, exposure = self._who(losses, present, exposure)
        value, weights = self._evaluate(losses, present, exposure)
        self._last_weights = weights.detach()
        with torch.no_grad():
            data = losses.detach().double()
            self.record(data, present & torch.isfinite(data))
        return value

    def weights(self) -> Tensor:
        """Return the coefficients w_t last used, float64 [T].

        Before the first step, and after `observe` has changed them, those that the next step would use.
        """
        if self._last_weights is not None:
            return self._last_weights
        coefficients = self.coefficients().detach()
        return coefficients * self._factor(coefficients)

    def _who(self, losses: Tensor, present: Tensor | None, exposure: Tensor | None) -> tuple[Tensor, Tensor]:
        if present is None:
            present = torch.ones(self.num_tasks, dtype=torch.bool, device=losses.device)
        present = present.to(losses.device, torch.bool)
        if exposure is None:
            exposure = present.double() * (self.num_tasks / present.sum().clamp(min=1))
        return present, exposure.to(losses.device, torch.float64)

    def _evaluate(self, losses: Tensor, present: Tensor, exposure: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scalar and the coefficients."""
        raw = self.coefficients_at(losses.detach().double(), present).to(losses.device, non_blocking=True)
        factor = self._factor(raw.detach())
        # where() before the product: an absent task's loss may be anything, nan included.
        data = self.data_terms(torch.where(present, losses.double(), 0.0), raw)
        # With the factor on the data alone, learned parameters would make up for it: uw's weights become equal.
        terms = (data + self.penalties().to(losses.device, non_blocking=True)) * factor
        return (torch.where(present, exposure, 0.0) * terms).sum().to(losses.dtype), raw * factor

    def _factor(self, coefficients: Tensor) -> Tensor | float:
        """Return the factor that brings the coefficients to ``weight_sum``.

        It is 1 where they sum to nothing, as those of clamped losses do.
        """
        if self.weight_sum is None:
            return 1.0
        factor = self.weight_sum / coefficients.sum()
        return torch.where(torch.isfinite(factor), factor, 1.0)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        self._last_weights = None
        super()._load_from_state_dict(state_dict, *args, **kwargs)


TOLD_BY_THE_RUN = ("num_tasks", "task_types")
"""Arguments of a method that no recipe gives."""

WEIGHTINGS: Kind[LossWeighting] = Kind(
    "weighting", "balancing.weighting", "hf_mtl.balancing.weightings", told=TOLD_BY_THE_RUN
)
register = WEIGHTINGS.register


def one_per_task(values: Numbers, num_tasks: int, what: str) -> Tensor:
    """Read one positive number per task.

    Raises:
        ValueError: If the number of values is not ``num_tasks``, or one is not positive and finite.
    """
    tensor = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(tensor) != num_tasks or not bool(torch.isfinite(tensor).all() and (tensor > 0).all()):
        raise ValueError(f"{what} is {values}; needs one positive number for each of {num_tasks} tasks")
    return tensor


def task_values(values: Numbers, like: Tensor, what: str) -> Tensor:
    """Read one number per task, as float64 on the device of ``like`` [T].

    Raises:
        ValueError: If the number of values is not T.
    """
    tensor = torch.as_tensor(values, dtype=torch.float64, device=like.device).detach().flatten()
    if len(tensor) != len(like):
        raise ValueError(f"{what} has {len(tensor)} values; needs one for each of {len(like)} tasks")
    return tensor


def seen_tasks(present: Tensor | Sequence[bool] | None, sizes: Tensor) -> Tensor:
    """Tell which tasks an observation is of, bool [T]: those present, or else with a non-zero gradient; never
    non-finite.

    Args:
        present: Which tasks have rows in the step, bool [T]; None: unknown, an absent task's gradient is zero.
        sizes: Norm, squared or not, of each task's gradient [T].
    """
    known = sizes > 0 if present is None else torch.as_tensor(present, dtype=torch.bool, device=sizes.device)
    return known & torch.isfinite(sizes)
