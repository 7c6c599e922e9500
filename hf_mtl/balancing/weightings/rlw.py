"""Random loss weighting."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.base import Numbers, register, task_values
from hf_mtl.balancing.checks import Positive
from hf_mtl.balancing.step_count import CountsSteps


@register("rlw")
class RLW(CountsSteps):
    """Draw the weights anew in every optimizer step.

    Source: Lin et al., Reasonable Effectiveness of Random Weighting, TMLR 2022, arXiv:2111.10603. The draw is a
    function of seed and step: the same on every process and after a resume, and no other random stream moves.

    Costs nothing. State: seed and step.

    Args:
        distribution: ``normal`` softmax of T standard normals, ``dirichlet`` the flat Dirichlet distribution.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: 1.

    Raises:
        ValueError: If normals are injected into ``dirichlet``.

    Shape:
        losses [T] -> weights [T], summing to 1.
    """

    source: ClassVar[str] = "arXiv:2111.10603"
    other_names = ("random_loss_weighting", "random")
    sums_to = "1"

    def __init__(
        self,
        num_tasks: int,
        distribution: Literal["normal", "dirichlet"] = "normal",
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.distribution = distribution
        # The seed of the run, where nobody observes another; 63 bits, so that it fits the state's int64.
        self.seed = torch.initial_seed() % 2**63
        self._normals: Tensor | None = None

    def observe(self, **facts: Any) -> None:
        """Take ``seed=`` of the draws, or ``normals=`` [T] in place of the coming step's draw."""
        if "seed" in facts:
            self.seed = int(facts["seed"]) % 2**63
            self._last_weights = None
        if facts.get("normals") is not None:
            if self.distribution != "normal":
                raise ValueError(f"normals= are not for distribution '{self.distribution}'")
            self._normals = task_values(facts["normals"], torch.empty(self.num_tasks), "normals")
            self._last_weights = None

    def forward(
        self,
        losses: Tensor,
        present: Tensor | None = None,
        exposure: Tensor | None = None,
        normals: Numbers | None = None,
    ) -> Tensor:
        """Compute the scalar to minimise, see `LossWeighting.forward`; closes the step, so the next draw is another.

        Args:
            losses: Task losses [T].
            present: Which tasks have rows in this step, bool [T]. None: all.
            exposure: kappa [T]. None: every present task counts once.
            normals: As for `observe`. None: drawn.
        """
        self.observe(normals=normals)
        return super().forward(losses, present, exposure)

    def coefficients(self) -> Tensor:
        """Return this step's draw, [T]; the same until the step is closed."""
        generator = np.random.default_rng([self.seed, self.steps])
        if self.distribution == "dirichlet":
            return torch.from_numpy(generator.dirichlet(np.ones(self.num_tasks)))
        drawn = torch.from_numpy(generator.standard_normal(self.num_tasks))
        return torch.softmax(drawn if self._normals is None else self._normals, dim=0)

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Close the step: its draw is used up."""
        super().record(losses, seen)
        self._normals = None

    def get_extra_state(self) -> Tensor:
        """Return seed and step, int64 [2]."""
        return torch.tensor([self.seed, self.steps])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore seed and step."""
        self.seed, self.steps = (int(value) for value in state)
        self._normals = None
