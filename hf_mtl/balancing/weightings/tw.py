"""Task weighting by size."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, one_per_task, register
from hf_mtl.balancing.checks import Positive


@register("tw")
class TW(LossWeighting):
    """Weight each task by its number of training rows n_t.

    Source: the TW baseline of Hu et al., "Impartial Multi-task Representation Learning via Variance-invariant
    Probabilistic Decoding" (VIP-MTL). With proportional sampling, ``proportional`` counts size twice.

    Args:
        mode: ``proportional`` n_t / sum n, or ``inverse`` (1/n_t) / sum (1/n).
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: 1.

    Raises:
        ValueError: If used before ``observe(sizes=)``, or if a size is not positive.

    Shape:
        losses [T] -> weights [T], summing to 1.
    """

    source: ClassVar[str] = "baseline (VIP-MTL)"
    other_names = ("task_weighting", "size_weighting")
    sums_to = "1"
    sizes: Tensor

    def __init__(
        self,
        num_tasks: int,
        mode: Literal["proportional", "inverse"] = "proportional",
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.mode = mode
        self.register_buffer("sizes", torch.zeros(num_tasks, dtype=torch.float64), persistent=False)

    def observe(self, **facts: Any) -> None:
        """Take ``sizes=``, training rows of each task [T]."""
        if "sizes" in facts:
            self.sizes = one_per_task(facts["sizes"], self.num_tasks, "sizes").to(self.sizes.device)
            self._last_weights = None

    def coefficients(self) -> Tensor:
        """Compute n_t / sum n, or its inverse, [T]."""
        if not bool((self.sizes > 0).all()):
            raise ValueError("the weighting 'tw' needs observe(sizes=) first")
        sizes = self.sizes.double()
        raw = sizes if self.mode == "proportional" else 1.0 / sizes
        return raw / raw.sum()
