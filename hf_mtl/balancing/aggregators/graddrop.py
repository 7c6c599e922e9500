"""Per parameter, gradients of one sign only, drawn by how much of the gradient has it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import GradientAggregator, Reduction, Scope, as_array, register
from hf_mtl.balancing.checks import choice
from hf_mtl.balancing.inner_products import column_blocks, combine, result_dtype, row_norms


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
        ValueError: If an option is out of range, or ``uniforms`` does not have one number per parameter.
    """

    source = "arXiv:2010.06808"
    scale = "sum"
    needs = frozenset({"jacobian"})
    cost = "T x P memory, P random numbers"
    remembers = ("draws",)
    steady = False

    def __init__(
        self,
        num_tasks: int,
        leak: float | Sequence[float] | dict[str, float] = 0.0,
        reduction: Reduction = "sum",
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        if scope != "all":
            raise ValueError(f"scope is {scope!r}; 'graddrop' draws for each parameter and needs 'all'")
        values = [leak] * num_tasks if isinstance(leak, (int, float)) else leak
        given = [float(value) for value in (values.values() if isinstance(values, dict) else values)]
        if len(given) != num_tasks or not all(0 <= value <= 1 for value in given):
            raise ValueError(f"leak is {leak}; needs numbers from 0 to 1, one or one for each of {num_tasks} tasks")
        self.leak = given
        self.reduction = choice(reduction, ("sum", "mean"), "reduction")
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
        """The kept entries' sum; see `GradientAggregator`."""
        self.check_shape(jacobian)
        if uniforms is not None and uniforms.shape != jacobian.shape[1:]:
            raise ValueError(f"uniforms is {list(uniforms.shape)}; needs one number for each parameter")
        active, _ = self._active(as_array(row_norms(jacobian)), present, losses)
        if len(active) < 2:
            weights = torch.zeros(self.num_tasks, dtype=torch.float64)
            weights[active] = 1.0
            return combine(weights if coefficients is None else weights * coefficients.to(weights), jacobian)
        dtype, device = result_dtype(jacobian.dtype), jacobian.device
        chosen = torch.zeros(self.num_tasks, dtype=dtype, device=device)
        chosen[active] = 1.0
        factors = chosen / self._divisor(present)
        factors = factors if coefficients is None else factors * coefficients.to(factors)
        leak = torch.tensor(self.leak, dtype=dtype, device=device)
        generator = self._generator(device) if uniforms is None else None
        result = torch.empty(jacobian.shape[1], dtype=dtype, device=device)
        for place, block in column_blocks(jacobian):
            if uniforms is None:
                drawn = torch.rand(block.shape[1], generator=generator, device=device)
            else:
                drawn = uniforms[place].to(device)
            result[place] = one_sign(block, drawn, chosen, factors * (1.0 - leak))
            if any(self.leak):
                result[place] += (factors * leak) @ block
        return result

    def _generator(self, device: torch.device) -> torch.Generator:
        """The generator of this draw, a pure function of seed and number of the draw."""
        state = np.random.SeedSequence([self.seed, self.draws]).generate_state(1, np.uint64)[0]
        self.draws += 1
        return torch.Generator(device).manual_seed(int(state >> 1))


def one_sign(rows: Tensor, uniforms: Tensor, chosen: Tensor, factors: Tensor) -> Tensor:
    """In each column, the weighted sum of the entries of the drawn sign.

    Args:
        rows: Task gradients [T, P].
        uniforms: Numbers in [0, 1), [P].
        chosen: 1 for the rows that decide how likely a sign is, else 0, [T].
        factors: Weights of the sum, [T].
    """
    both = torch.stack([chosen, factors])
    positive, kept_positive = both @ rows.clamp(min=0)
    negative, kept_negative = both @ rows.clamp(max=0)
    # P > U with P = positive / (positive - negative), without dividing by a column of zeros; U close to 1 must not
    # round to P = 1.
    is_positive = (positive > uniforms * (positive - negative)) | (negative == 0)
    return torch.where(is_positive, kept_positive, kept_negative)
