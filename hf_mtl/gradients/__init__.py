"""Per-task gradients of the shared parameters: segments of one mixed batch, or a backward for each task."""

from hf_mtl.gradients.choice import shared_parameters
from hf_mtl.gradients.held import Chosen, HeldGradients
from hf_mtl.gradients.jacobian_rows import JacobianRows
from hf_mtl.gradients.recomputed import Recomputed
from hf_mtl.gradients.shared import SharedGradients, Wanted

__all__ = [
    "Chosen",
    "HeldGradients",
    "JacobianRows",
    "Recomputed",
    "SharedGradients",
    "Wanted",
    "shared_parameters",
]
