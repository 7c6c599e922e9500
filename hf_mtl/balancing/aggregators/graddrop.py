"""Per parameter, gradients of one sign only, drawn by how much of the gradient has it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import GradientAggregator, Reduction, Scope, as_array, register
from hf_mtl.balancing.checks import Portion, all_shared, one_for_each
from hf_mtl.balancing.inner_products import column_blocks, combine, result_dtype, room, row_norms


@register("graddrop")
class GradDrop(GradientAggregator):
    """For each parameter keep the positive entries with probability P = ½ (1 + ΣJ / Σ|J|), else the negative; sum.

    Source: Chen et al., "Just Pick a Sign", NeurIPS 2020, arXiv:2010.06808. The paper drops gradients of an
    activation layer; here, as in TorchJD, those of the parameters.

    Needs the rows J. Cost: T x P memory and P uniform draws per step. Scale: sum. Random: one uniform number per
    parameter, injectable as ``uniforms=`` [P].

    Args:
        num_tasks: Number of tasks T.
        leak: Share of a task's gradient that is never dropped, in [0, 1]; one number, or one per task in task order
            (a recipe names the tasks).
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Must be ``all``: every parameter has its own draw.

    Shape:
        J [T, P], uniforms [P] -> [P].

    Raises:
        ValueError: If ``uniforms`` does not have one number per parameter.
    """

    source = "arXiv:2010.06808"
    other_names = ("gradient_sign_dropout", "gradient_dropout")
    scale = "sum"
    needs = frozenset({"jacobian"})
    cost = "T x P memory, P random numbers"
    remembers = ("draws",)
    steady = False

    def __init__(
        self,
        num_tasks: int,
        leak: Portion | Sequence[Portion] | dict[str, Portion] = 0.0,
        reduction: Reduction = "sum",
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        all_shared(scope, "'graddrop' draws for each parameter")
        self.leak = one_for_each(leak, num_tasks, "leak")
        self.reduction = reduction
        self.draws = 0

    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        uniforms: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Return the kept entries' sum; see `GradientAggregator`."""
        self.check_shape(jacobian)
        if uniforms is not None and uniforms.shape != jacobian.shape[1:]:
            raise ValueError(f"uniforms is {list(uniforms.shape)}; needs one number for each parameter")
        active, _ = self._active(as_array(row_norms(jacobian)), present, losses)
        if len(active) < 2:
            weights = torch.zeros(self.num_tasks, dtype=torch.float64)
            weights[active] = 1.0
            return combine(weights if coefficients is None else weights * coefficients.to(weights), jacobian)
        device = jacobian.device
        factors = torch.full([len(active)], 1.0 / self._divisor(present), dtype=result_dtype(jacobian.dtype))
        factors = factors if coefficients is None else factors * coefficients.cpu()[active].to(factors)
        leak = torch.tensor(self.leak, dtype=factors.dtype)[active]
        even = len(set((factors * (1.0 - leak)).tolist())) == 1
        dropped, kept = (factors * (1.0 - leak)).to(device), (factors * leak).to(device)
        draw = self._drawer(device)
        self.draws += uniforms is None
        result = room(jacobian.shape[1], dtype=factors.dtype, device=device)
        for place, block in column_blocks(jacobian):
            rows = block if len(active) == self.num_tasks else block[active]
            drawn = draw(rows.shape[1]) if uniforms is None else centred(uniforms[place].to(device))
            result[place] = one_sign(rows, drawn, dropped, even)
            if any(self.leak):
                result[place] += kept @ rows
        return result

    def _drawer(self, device: torch.device) -> Callable[[int], Tensor]:
        """Make a function that draws uniform numbers in (-1, 1), a pure function of seed and number of the draw."""
        seed = np.random.SeedSequence([self.seed, self.draws])
        if device.type == "cpu":
            return partial(_draw_on_cpu, np.random.Generator(np.random.SFC64(seed)))
        generator = torch.Generator(device).manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        return lambda size: centred(torch.rand(size, generator=generator, device=device))


def _draw_on_cpu(generator: np.random.Generator, size: int) -> Tensor:
    """Draw as `centred` does, of 24 random bits each, in a fifth of the time of torch's one-threaded generator."""
    # A 64-bit draw makes two numbers. k + ½ with k of 24 bits is exact in float32, and never 0: no side is undecided.
    bits = generator.integers(0, 1 << 64, (size + 1) // 2, dtype=np.uint64).view(np.int32)[:size]
    return (torch.from_numpy(bits) >> 8).float().add_(0.5).mul_(2.0**-23)


def centred(uniforms: Tensor) -> Tensor:
    """Compute 1 - 2 U of U in [0, 1), taken in the middle between two numbers that can be drawn: in (-1, 1)."""
    return 1.0 - torch.finfo(uniforms.dtype).eps / 2 - 2.0 * uniforms


def one_sign(rows: Tensor, drawn: Tensor, factors: Tensor, even: bool) -> Tensor:
    """Sum in each column the weighted entries of the drawn sign.

    Args:
        rows: Task gradients [m, P].
        drawn: Uniform numbers in (-1, 1), [P].
        factors: Weights of the sum, [m]; a sign's probability is that of the rows without them.
        even: Whether all of these are the same.
    """
    # As products with ones, which are sums in three quarters of the time, and each other's where all have one sign.
    ones = rows.new_ones(len(rows))
    total, size = ones @ rows, ones @ rows.abs()
    # U < P = (1 + total / size) / 2 without a division by columns of zeros; a P of 0 or 1 is never met.
    side = torch.addcmul(total, drawn, size)
    # The entries of one sign sum to (total ± size) / 2.
    if even:
        return torch.copysign(size, side).add_(total).mul_(factors[0] / 2)
    return (factors @ rows + torch.copysign(torch.ones_like(side), side) * (factors @ rows.abs())) / 2
