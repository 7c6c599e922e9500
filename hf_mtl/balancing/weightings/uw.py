"""Uncertainty weighting."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hf_mtl.balancing.base import LossWeighting, register
from hf_mtl.balancing.checks import Positive, one_for_each
from hf_mtl.errors import Mistake, UserError
from hf_mtl.plain import describe, made_plain


@register("uw")
class UW(LossWeighting):
    """Learn one log variance s_t per task: sum of a_t exp(-s_t) L_t + s_t / 2.

    Source: Kendall, Gal, Cipolla, CVPR 2018, arXiv:1705.07115. At the optimum exp(s_t) = 2 a_t L_t. Only present
    tasks' terms enter, so an absent task's s does not move.

    Args:
        variant: ``mixed`` a = 1 for classification and 1/2 for regression (Kendall's likelihoods), ``unit``
            a = 1 (as printed in the few-task paper), ``half`` a = 1/2 (its code, TorchJD, LibMTL).
        init: First value of s in [-clip, clip], one number or one per task.
        clip: s returns to [-clip, clip] after each step.
        task_types: ``classification`` or ``regression`` for each task, for ``mixed``. None: classification.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: the method's own scale.

    Raises:
        UserError: If ``init`` is beyond ``clip``, or there is not one for each task.

    Shape:
        losses [T], non-negative -> weights a exp(-s) [T].
    """

    source: ClassVar[str] = "arXiv:1705.07115"
    other_names = ("uncertainty_weighting", "uncertainty", "homoscedastic_uncertainty", "kendall")
    a: Tensor

    def __init__(
        self,
        num_tasks: int,
        variant: Literal["mixed", "unit", "half"] = "mixed",
        init: float | Sequence[float] | dict[str, float] = 0.0,
        clip: Positive = 5.0,
        task_types: Sequence[str] | None = None,
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.clip = clip
        types = ["classification"] * num_tasks if task_types is None else list(task_types)
        start = one_for_each(init, num_tasks, "init")
        if any(abs(value) > clip for value in start):
            found = describe(made_plain(init))
            raise UserError(Mistake("init", f"found {found}", f"Allowed: from -{clip:g} to {clip:g}, as clip says."))
        if len(types) != num_tasks:
            raise ValueError(f"task_types needs one for each of {num_tasks} tasks")
        scale = {"unit": [1.0, 1.0], "half": [0.5, 0.5], "mixed": [1.0, 0.5]}[variant]
        a = torch.tensor([scale[1] if kind == "regression" else scale[0] for kind in types], dtype=torch.float64)
        self.register_buffer("a", a, persistent=False)
        self.s = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def coefficients(self) -> Tensor:
        """Compute a_t exp(-s_t), [T]."""
        return self.a * torch.exp(-self.s)

    def penalties(self) -> Tensor:
        """Return s_t / 2, [T]."""
        return 0.5 * self.s

    def resting(self) -> Tensor:
        """Tell where s is at -clip or clip."""
        return self.s.detach().abs() >= self.clip

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring s back to [-clip, clip]."""
        self.s.clamp_(-self.clip, self.clip)
