"""The base class of gradient aggregators, with the rules for rows that all of them keep, and their registry."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.checks import whole
from hf_mtl.balancing.solvers import Array
from hf_mtl.components import Kind
from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import CheckpointError, HfMtlError
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

Need = Literal["gramian", "jacobian", "losses", "second_backward", "adapter_training"]
Scale = Literal["sum", "mean", "own", "the base's"]
Reduction = Literal["sum", "mean"]
Scope = Literal["all", "last_layer", "adapters"]
Remembered: TypeAlias = dict[str, Tensor | int | float]

INACTIVE = 1e-12
"""A row is inactive if its norm is at most this fraction of the largest."""


class NonFiniteRows(HfMtlError, ArithmeticError):
    """Error of a task's gradient, or a loss that the method needs, that is not finite: skip the step and count it.

    Raised before anything is solved, drawn or remembered, so that the next step finds the aggregator unchanged.

    Args:
        tasks: Indices of the tasks.
    """

    def __init__(self, tasks: Iterable[int]):
        self.tasks = tuple(tasks)
        super().__init__(f"the gradient of task {', '.join(map(str, self.tasks))} is not finite")


class GradientAggregator(ABC):
    """Maps the task gradients of one optimizer step to one direction.

    Conventions (T tasks, P shared parameters): row t of the Jacobian J [T, P] is the gradient of task t's loss and
    penalties over the whole step; a task that is absent has a zero row. A row of norm at most 1e-12 of the largest
    is inactive: the method never sees it and its weight is 0. Without an active row the result is 0; a single
    active row is returned as it is. Preferences are uniform over the m active rows. Rows that are not finite raise
    `NonFiniteRows`. One call is one decision: call once per optimizer step, in every process with the same rows.

    Subclasses register with `register` and take their recipe options as keyword arguments. Class attributes say
    what a method is like with its default options; options may give an object others.

    Attributes:
        source: The paper, for the table of methods; ``-``: none.
        other_names: What it is called in full, or elsewhere; who writes one is told the right name.
        scale: Of the result: that of the ``sum`` or the ``mean`` of the rows, the method's ``own``, or, of one that
            wraps another, ``the base's``.
        degree: How the result scales with its rows: A(c J) = c^degree A(J). Only a method of degree 1 can be applied
            to rows that shrink towards zero.
        needs: ``gramian`` inner products suffice (`FromGramian`), ``jacobian`` the rows themselves, ``losses`` the
            task losses, ``second_backward`` gradients elsewhere (`LookAhead`), ``adapter_training`` a training phase
            of its own (`Teleporting`).
        cost: What the method costs beside training on the sum of the losses, for the table of methods.
        remembers: Attributes that make up the state.
        steady: Whether a column of J has to be the same parameter in every step, for a method that takes rows. If
            not, J has no columns for embeddings of tokens that do not occur in the step.
        main: Place of the task that the others are held against; None: all tasks are alike.
        by_name: Options with values by task that the method reads by name, as they need not be of every task.

    Args:
        num_tasks: Number of tasks T.
        scope: Parameters whose gradients decide: ``all``, ``last_layer`` or ``adapters``. Read by who forms the
            rows; the combined gradient is always of all.

    Raises:
        ValueError: If ``num_tasks < 1``.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "-"
    other_names: ClassVar[tuple[str, ...]] = ()
    scale: Scale = "own"
    cost: ClassVar[str] = "nothing"
    degree: float = 1.0
    needs: frozenset[Need] = frozenset({"gramian"})
    remembers: ClassVar[tuple[str, ...]] = ()
    steady: ClassVar[bool] = True
    main: int | None = None
    by_name: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, num_tasks: int, scope: Scope = "all"):
        self.num_tasks = whole(num_tasks, "num_tasks", at_least=1)
        self.scope: Scope = scope
        self.reduction: Reduction = "sum"
        self.seed = 0
        self.names: Sequence[str] = [f"task {index}" for index in range(num_tasks)]
        self._last_weights: Tensor | None = None
        self._told_left_out = False

    @abstractmethod
    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Return the direction that replaces the gradient of the shared parameters.

        Args:
            jacobian: Task gradients J [T, P], float64, float32 or shorter.
            losses: Task losses [T], where the method needs them.
            present: Which tasks have rows in this step, bool [T]; ``mean`` divides by their number. None: all.
            coefficients: Coefficient of each task from a schedule, [T], a factor of its weight. None: 1.
            draws: Randomness to use instead of the method's own, such as PCGrad's ``orders``.

        Returns:
            [P]: float64 where J is, else float32. It is the caller's to keep and to change, and no part of J or of a
            state.

        Raises:
            NonFiniteRows: If a row, or a loss that the method needs, is not finite.
            ValueError: If a shape is wrong, or something that the method needs is missing.
        """

    def observe(self, **facts: Any) -> None:
        """Take what the method needs beyond rows and losses; each takes what it knows and ignores the rest.

        Args:
            facts: At the start ``seed=`` for the method's own draws and ``names=`` of the tasks for its messages; in
                a step, before the call, what its ``needs`` say: ``jacobian=`` [T, P] of the second backward.
        """
        if "seed" in facts:
            self.seed = int(facts["seed"])
        self.names = facts.get("names", self.names)

    def weights(self) -> Tensor | None:
        """Return the weights w last used, float64 [T] on the CPU; None before the first step, and for methods
        without.
        """
        return self._last_weights

    def state_dict(self) -> Remembered:
        """Return the state for a checkpoint: a flat mapping to tensors and numbers, copied."""
        return {name: _copy(getattr(self, name)) for name in self.remembers}

    def load_state_dict(self, state: Remembered) -> None:
        """Restore what `state_dict` returned.

        Raises:
            CheckpointError: If the state is another method's, or of another number of tasks.
        """
        wrong = set(state) != set(self.remembers)
        for name in self.remembers if not wrong else ():
            value = state[name]
            wrong = wrong or (isinstance(value, Tensor) and len(value) != self.num_tasks)
        if wrong:
            found = ", ".join(state) or "nothing"
            raise CheckpointError(
                f"aggregator: the checkpoint has {found}, which is not the state of '{self.name}' "
                f"for {self.num_tasks} tasks"
            )
        for name in self.remembers:
            setattr(self, name, _copy(state[name]))

    def check_shape(self, jacobian: Tensor) -> None:
        """Refuse what is not a row per task.

        Raises:
            ValueError: If the Jacobian is not [T, P].
        """
        if jacobian.ndim != 2 or len(jacobian) != self.num_tasks:
            raise ValueError(f"the Jacobian is {list(jacobian.shape)}; needs [{self.num_tasks}, P]")

    def check_gramian(self, gramian: Tensor) -> None:
        """Refuse what is not an inner product per pair of tasks.

        Raises:
            ValueError: If the Gramian is not [T, T].
        """
        if gramian.shape != (self.num_tasks, self.num_tasks):
            raise ValueError(f"the Gramian is {list(gramian.shape)}; needs [{self.num_tasks}, {self.num_tasks}]")

    def _active(self, norms: Array, present: Tensor | None, losses: Tensor | None) -> tuple[Array, Array | None]:
        """Return indices of the active rows, and their losses; refuses what is not finite."""
        there = np.ones(self.num_tasks, dtype=bool) if present is None else as_array(present).astype(bool)
        wrong = ~np.isfinite(norms)
        given: Array | None = None
        if "losses" in self.needs:
            if losses is None:
                raise ValueError(f"'{self.name}' needs losses=")
            given = as_array(losses)
            wrong |= there & ~np.isfinite(given)
        if wrong.any():
            raise NonFiniteRows(np.flatnonzero(wrong).tolist())
        # Strictly above: where all rows are zero, none is active.
        is_active = there & (norms > INACTIVE * np.max(norms, initial=0.0, where=there))
        self._say_left_out(there & (norms > 0) & ~is_active, INACTIVE)
        active = np.flatnonzero(is_active)
        return active, None if given is None else given[active]

    def _say_left_out(self, tasks: Array, fraction: float) -> None:
        """Say once whose gradient has no part in the result because it is too small beside the largest.

        Args:
            tasks: Whose, bool [T].
            fraction: Of the largest norm, up to which a row is left out.
        """
        if self._told_left_out or not tasks.any() or not is_main_process():
            return
        self._told_left_out = True
        left = ", ".join(self.names[index] for index in np.flatnonzero(tasks).tolist())
        logger.warning(
            f"The aggregator '{self.name}' leaves out {left}: the gradient is at most {fraction:.1g} of the largest. "
            "The task does not train in such steps; scale its loss, or check that its head reads the shared encoder."
        )

    def _divisor(self, present: Tensor | None) -> float:
        """Return the divisor that ``reduction`` asks for: the number of tasks in the step, or 1."""
        if self.reduction == "sum":
            return 1.0
        return float(self.num_tasks if present is None else present.sum())


AGGREGATORS: Kind[GradientAggregator] = Kind(
    "aggregator", "balancing.aggregator", "hf_mtl.balancing.aggregators", told=("num_tasks", "tasks")
)
register = AGGREGATORS.register


def base_names(needs: Collection[Need]) -> list[str]:
    """Return the aggregators that a wrapper can build with default options, and that need no more than these."""
    return [name for name in AGGREGATORS.names() if AGGREGATORS[name].needs <= set(needs) and not _required(name)]


def _required(name: str) -> list[str]:
    """Return the options of an aggregator that must be given."""
    fields = AGGREGATORS.options(name).model_fields
    return [option for option, field in fields.items() if field.is_required() and option != AGGREGATORS.field]


def as_array(values: Tensor) -> Array:
    """Return a small tensor in float64 on the CPU."""
    return torch.as_tensor(values).detach().to("cpu", torch.float64).numpy()


def _copy(value: Tensor | float) -> Tensor | float:
    return value.detach().clone() if isinstance(value, Tensor) else value
