"""PiKE: more rows of the tasks whose gradients are large, and fewer of those whose gradients are noise."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.data.learners.base import GradientLook, Learner, register
from hf_mtl.errors import Mistake, UserError

Values = NDArray[np.float64]
NotNegative = Annotated[float, Field(ge=0)]
Portion = Annotated[float, Field(ge=0, le=1)]

BETA = 0.9
FEWEST = 4
"""Two rows in each half of a look: the least that has a variance."""


@register("pike")
class PiKE(Learner):
    """Draw tasks by how large and how steady their gradients are, for tasks that do not conflict.

    Every ``every`` steps each task's gradient of the shared parameters is looked at on its next rows in the plan, and
    log w_t moves by zeta1 g²_t / s - zeta2 v_t / (B s), with moving averages g² of |grad L_t|² and v of the variance
    of a row's gradient, s the mean over tasks of g² + v / B, and B the rows of a step; and back towards
    proportional sampling by ``pull`` of the way. p = softmax(log w), of which no task has less than ``floor`` / T.
    The two halves of the rows, with mean gradients a and b, give g² = aᵀb and v = n/4 |a - b|²: neither is
    biased by the other. A task without rows in the step before a look is not looked at, and its w rests.

    Source: Li et al., "PiKE", arXiv:2502.06244. The estimators, the shares of the mean and the pull are hf_mtl's:
    signals that are relative never fade, and without the pull one task would take all.

    Args:
        sizes: Training rows of each task, capped where the mixture caps them.
        objective: ``pike``. A mapping with it needs no ``type``.
        every: Steps between two looks; the mixture moves at the next boundary of a window.
        zeta1: How much a large gradient draws.
        zeta2: How much a noisy one repels.
        pull: Share of the way back to proportional sampling that each move goes.
        floor: Least share of a task, by that of uniform sampling.
        rows: Training rows of each task, however many of them count. None: as ``sizes``.

    Raises:
        UserError: If a task has fewer than four rows, of which no variance can be told.
    """

    follows_losses: ClassVar[bool] = False
    moves: ClassVar[str] = "the mixture"
    rows_of_look: ClassVar[int] = 16

    def __init__(
        self,
        sizes: Mapping[str, int],
        objective: Literal["pike"] = "pike",
        every: Annotated[int, Field(ge=1)] = 50,
        zeta1: NotNegative = 0.1,
        zeta2: NotNegative = 0.1,
        pull: Portion = 0.1,
        floor: Portion = 0.2,
        rows: Mapping[str, int] | None = None,
    ):
        few = [f"{task} ({count})" for task, count in (rows or sizes).items() if count < FEWEST]
        if few and len(sizes) > 1:
            problem = f"'pike' tells noise by {FEWEST} rows of a task at least, and has fewer of {', '.join(few)}"
            remedy = "Give the task more rows, leave it out, or leave out mixture.learn."
            raise UserError(Mistake("", problem, remedy))
        self.tasks = list(sizes)
        self.every = every
        self.zeta1, self.zeta2 = zeta1, zeta2
        self.pull = pull
        self.floor = floor
        counts = np.array(list(sizes.values()), dtype=np.float64)
        self.anchor = np.log(counts / counts.sum())
        self.log_w, self.in_window = self.anchor.copy(), self.anchor.copy()
        tasks = len(self.tasks)
        self.squares, self.variances, self.looks = np.zeros(tasks), np.zeros(tasks), np.zeros(tasks)
        self.signal, self.noise = np.zeros(tasks), np.zeros(tasks)

    @property
    def first_move(self) -> int:
        """Return the first step before which it may move the mixture."""
        return self.every

    def probabilities(self) -> Values:
        """Return the probability of each task in this window, [T]."""
        weights = np.exp(self.in_window - self.in_window.max())
        return with_floor(weights / weights.sum(), self.floor / len(self.tasks))

    def looks_before(self, step: int) -> bool:
        """Tell whether it looks at gradients before a step; one task has nothing to share with."""
        return len(self.tasks) > 1 and step > 0 and step % self.every == 0

    def observe_gradients(self, looks: Mapping[str, GradientLook], rows_per_step: int) -> None:
        """Average the looks in, and move w of their tasks."""
        if not looks:
            return
        seen = np.array([self.tasks.index(task) for task in looks])
        for averages, values in (
            (self.squares, [look.squared_norm for look in looks.values()]),
            (self.variances, [look.variance for look in looks.values()]),
        ):
            averages[seen] = BETA * averages[seen] + (1 - BETA) * np.array(values)
        self.looks[seen] += 1
        # The averages began at 0 and are too small until many values came: the correction of Adam.
        correction = 1 - BETA ** self.looks[seen]
        # One look may be below 0, which is why the average is what has a floor.
        squares = np.maximum(self.squares[seen] / correction, 0.0)
        self.move(seen, squares, self.variances[seen] / correction / rows_per_step)

    def move(self, seen: NDArray[np.int64], squares: Values, noise: Values) -> None:
        """Move log w of some tasks.

        Args:
            seen: Places of the tasks, [m].
            squares: g² of each, not negative, [m].
            noise: v / B of each, [m].
        """
        scale = float((squares + noise).mean())
        if not scale > 0:
            return  # nobody has a gradient
        self.signal[seen], self.noise[seen] = squares / scale, noise / scale
        back = self.pull * (self.log_w[seen] - self.anchor[seen])
        self.log_w[seen] += self.zeta1 * self.signal[seen] - self.zeta2 * self.noise[seen] - back

    def begin_window(self, step: int) -> None:
        """Let what was looked at take effect."""
        self.in_window = self.log_w.copy()

    def gauges(self) -> dict[str, float]:
        """Return both parts of each task's last move, ``gradient_signal/<task>`` and ``gradient_noise/<task>``."""
        parts = {"gradient_signal": self.signal, "gradient_noise": self.noise}
        of_all = ((key, zip(self.tasks, values.tolist(), strict=True)) for key, values in parts.items())
        return {f"{key}/{task}": value for key, values in of_all for task, value in values}

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and all averages."""
        return {key: torch.from_numpy(getattr(self, key).copy()) for key in _ARRAYS}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        for key in _ARRAYS:
            setattr(self, key, state[key].numpy().copy())


_ARRAYS = ("log_w", "in_window", "squares", "variances", "looks", "signal", "noise")


def with_floor(probabilities: Values, least: float) -> Values:
    """Raise what is below a floor to it, and shrink the rest in proportion.

    Args:
        probabilities: They sum to 1, [T].
        least: The floor, at most 1 / T.
    """
    low = np.zeros(len(probabilities), dtype=bool)
    found = probabilities
    # Raising some shrinks the others, which can push another one under it.
    while (found[~low] < least).any():
        low |= found < least
        if low.all():
            return np.full(len(found), 1.0 / len(found))
        rest = (1.0 - least * low.sum()) / probabilities[~low].sum()
        found = np.asarray(np.where(low, least, probabilities * rest), dtype=np.float64)
    return found
