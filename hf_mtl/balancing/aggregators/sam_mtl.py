"""Any aggregator on the losses' gradients, and again on what flatness adds to them."""

from typing import Any

import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import (
    AGGREGATORS,
    NonFiniteRows,
    Remembered,
    Scale,
    Scope,
    as_array,
    base_names,
    register,
)
from hf_mtl.balancing.checks import Positive, all_shared
from hf_mtl.balancing.inner_products import result_dtype, row_norms
from hf_mtl.balancing.needs import LookAhead
from hf_mtl.errors import Mistake, UserError, known


@register("sam_mtl")
class SAMMTL(LookAhead):
    """A(J) + A(F) with F = J_sam - J, each task's gradient at its own worst point nearby minus that here.

    Source: Phan et al., "Beyond Losses Reweighting", arXiv:2211.13723, reconstructed from public summaries: how the
    paper mixes the two parts and steps the heads is uncertain. J_sam has the rows grad L_t(theta + e_t) with
    e_t = rho g_t / |g_t| (`perturbations`); heads have perturbations of their own and use the gradient there. The
    same rows and dropout in both passes, and the parameters restored exactly, are the caller's part.

    Needs the rows J, and by ``observe(jacobian=J_sam)`` before each call the rows of the second pass. Cost: two
    forwards and backwards, the second of each task by itself; 2 x T x P memory. Scale: the base's.

    Args:
        num_tasks: Number of tasks T.
        base: The aggregator A, with its default options; one of its own for each part. It needs rows alone, and
            its result scales with them: that of ``nash_mtl``, ``fairgrad`` and ``ngdiff`` does not shrink with F,
            and would be noise of any size where F is next to nothing.
        rho: Length of a perturbation, above 0.
        scope: Must be ``all``.

    Shape:
        J [T, P], J_sam [T, P] -> [P].

    Raises:
        ValueError: If called before ``observe(jacobian=)``.
    """

    source = "arXiv:2211.13723"
    other_names = ("sharpness_aware_minimization",)
    scale: Scale = "the base's"
    needs = frozenset({"jacobian", "second_backward"})
    cost = "a second forward and backward, per task; 2 x T x P memory"

    def __init__(self, num_tasks: int, base: str = "mean", rho: Positive = 0.05, scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        all_shared(scope, "'sam_mtl' perturbs all shared parameters")
        check_base(base)
        self.rho = rho
        self.parts = {"loss": AGGREGATORS[base](num_tasks), "flat": AGGREGATORS[base](num_tasks)}
        self.parts["flat"]._told_left_out = True  # a task without a part in the correction trains all the same
        self.scale = self.parts["loss"].scale
        self._perturbed: Tensor | None = None

    def perturbations(self, jacobian: Tensor) -> Tensor:
        """Return e_t = rho g_t / |g_t|, where task t's gradient is wanted, [T, P]; 0 for a zero row."""
        norms = row_norms(jacobian)
        factors = torch.where(norms > 0, self.rho / norms, 0.0)
        dtype = result_dtype(jacobian.dtype)
        return jacobian.to(dtype) * factors.to(dtype)[:, None]

    def observe(self, **facts: Any) -> None:
        """Take ``jacobian=``, J_sam [T, P], used by the next call alone, ``seed=`` and ``names=``."""
        super().observe(**facts)
        if "seed" in facts:
            # Of seeds of their own, or the second part would draw again what the first has drawn.
            for offset, part in enumerate(self.parts.values()):
                part.observe(seed=int(facts["seed"]) + offset, names=self.names)
        if "jacobian" in facts:
            self.check_shape(facts["jacobian"])
            self._perturbed = facts["jacobian"]

    def weights(self) -> Tensor | None:
        """Return the weights that the base gave the losses' rows, those of the first part."""
        return self.parts["loss"].weights()

    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Compute A(J) + A(J_sam - J); see `GradientAggregator`."""
        self.check_shape(jacobian)
        if self._perturbed is None or self._perturbed.shape != jacobian.shape:
            raise ValueError("'sam_mtl' needs observe(jacobian=) with the perturbed rows before each step")
        perturbed, self._perturbed = self._perturbed, None
        # Both are checked before either part decides: a step is skipped as a whole.
        wrong = ~torch.isfinite(row_norms(jacobian)) | ~torch.isfinite(row_norms(perturbed))
        if bool(wrong.any()):
            raise NonFiniteRows(as_array(wrong).nonzero()[0].tolist())
        direction = self.parts["loss"](jacobian, losses, present, coefficients, **draws)
        return direction + self.parts["flat"](flat_rows(jacobian, perturbed), losses, present, coefficients, **draws)

    def state_dict(self) -> Remembered:
        """Return the parts' states, under ``loss.`` and ``flat.``."""
        return {
            f"{part}.{name}": value for part, base in self.parts.items() for name, value in base.state_dict().items()
        }

    def load_state_dict(self, state: Remembered) -> None:
        """Restore the parts; see `GradientAggregator`."""
        super().load_state_dict(
            {name: value for name, value in state.items() if name.split(".")[0] not in self.parts}
        )
        for part, base in self.parts.items():
            start = f"{part}."
            base.load_state_dict({name[len(start) :]: state[name] for name in state if name.startswith(start)})


def check_base(base: str) -> None:
    """Refuse what cannot be applied to differences of rows, which may be next to nothing.

    Raises:
        UserError: If it is no aggregator that needs rows alone and scales with them.
    """
    names = [name for name in base_names({"gramian", "jacobian"}) if AGGREGATORS[name].degree == 1]
    if base in names:
        return
    problem = f"unknown base '{base}'"
    if base in AGGREGATORS and AGGREGATORS[base].degree != 1:
        problem = (
            f"found '{base}', whose result does not shrink with its rows: where both passes agree the second part "
            "would drown the first"
        )
    raise UserError(Mistake("base", problem, known(names, base)))


def flat_rows(jacobian: Tensor, perturbed: Tensor) -> Tensor:
    """Compute F = J_sam - J, [T, P], in float32 at least."""
    dtype = result_dtype(jacobian.dtype)
    return perturbed.to(dtype) - jacobian.to(dtype)
