"""Excess risks as weights."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, Need, register
from hf_mtl.balancing.checks import Positive
from hf_mtl.balancing.inner_products import result_dtype

_EPS = 1e-7
_FLOOR = 1e-12
_LEAST = 1e-10


@register("excess_mtl")
class ExcessMTL(LossWeighting):
    """Give weight to tasks that are far from their optimum: w_t <- w_t exp(eta E_t / E0_t), then sum T.

    E_t = sum g_t^2 / sqrt(S_t + 1e-7) over the shared parameters estimates the excess risk, with S_t the sum of all
    squared gradients so far. The first one of each task is stored as its E0 (at least 1e-12) and moves nothing.

    Source: He et al., ICML 2024, arXiv:2402.02009; its first call as in LibMTL (TorchJD moves at once, with E
    unscaled). An absent task, a zero row, keeps S and E0 and takes part only in the common rescaling. Departs from
    the paper in that no weight is less than 1e-10 of their sum: the gradient of a task whose weight is 0 is 0, as an
    absent task's, and its weight could never return. The logarithms of the weights have no such bound.

    Needs the ``jacobian`` of unweighted losses; it counts from the next step on if it comes after a step's forward.
    Costs per-task gradients, and T x P numbers of state, S in float32 at least, beside log w and E0.

    Args:
        eta: Step size of the weights.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: T.

    Shape:
        losses [T], jacobian [T, P] -> weights [T], summing to T.
    """

    source: ClassVar[str] = "arXiv:2402.02009"
    other_names = ("excess_risk",)
    needs: ClassVar[frozenset[Need]] = frozenset({"jacobian"})
    cost: ClassVar[str] = "per-task gradients of all shared parameters, and as many numbers of state"
    sums_to = "T"
    squares: Tensor
    baseline: Tensor
    log_w: Tensor

    def __init__(self, num_tasks: int, eta: Positive = 0.01, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.eta = eta
        # [T, P] from the first observation on: P is not known before.
        self.register_buffer("squares", torch.zeros(num_tasks, 0, dtype=torch.float64))
        self.register_buffer("baseline", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("log_w", torch.zeros(num_tasks, dtype=torch.float64))

    def coefficients(self) -> Tensor:
        """Compute T softmax of the logarithms, none of it vanishing, [T]."""
        w = torch.softmax(self.log_w, dim=0).clamp(min=_LEAST)
        return self.num_tasks * w / w.sum()

    @torch.no_grad()
    def observe(self, **facts: Any) -> None:
        """Take ``jacobian=`` [T, P], one row per task, zero for absent tasks; a row that is not finite is ignored.

        Raises:
            ValueError: If its shape is not that of the first one.
        """
        if facts.get("jacobian") is None:
            return
        jacobian = torch.as_tensor(facts["jacobian"])
        if self.squares.shape[1] == 0 and jacobian.ndim == 2:
            # In bfloat16 a sum stops growing where a term is a 256th of it.
            shape, dtype = (self.num_tasks, jacobian.shape[1]), result_dtype(jacobian.dtype)
            self.squares = torch.zeros(shape, dtype=dtype, device=jacobian.device)
        if jacobian.shape != self.squares.shape:
            found, wanted = tuple(jacobian.shape), tuple(self.squares.shape)
            raise ValueError(f"jacobian has shape {found}; needs {wanted}: one row per task, always the same columns")
        self.squares = self.squares.to(jacobian.device)
        excess = torch.stack([self._excess(index, row) for index, row in enumerate(jacobian)]).to(self.log_w)
        old, seen = self.baseline > 0, excess > 0
        moves = torch.where(old & seen, self.eta * excess / self.baseline.clamp(min=_FLOOR), 0.0)
        log_w = self.log_w + moves
        # Only differences count: moves are never negative, and the logarithms would grow without end.
        self.log_w = log_w - log_w.max()
        self.baseline = torch.where(seen & ~old, excess.clamp(min=_FLOOR), self.baseline)
        self._last_weights = None

    def _excess(self, index: int, row: Tensor) -> Tensor:
        """Compute E of one task, [] in float64; row by row, which needs no further [T, P]."""
        squared = row.to(self.squares.dtype) ** 2
        if not bool(torch.isfinite(squared.sum()) & (row != 0).any()):
            return torch.zeros((), dtype=torch.float64, device=row.device)
        self.squares[index] += squared
        return (squared / (self.squares[index] + _EPS).sqrt()).sum(dtype=torch.float64)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(f"{prefix}squares")
        if saved is not None:
            self.squares = torch.zeros_like(saved, device=self.log_w.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
