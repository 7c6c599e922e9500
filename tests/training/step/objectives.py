"""An objective without a Trainer, and steps for it."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from hf_mtl.balancing import Exposure, LossWeighting, build_weighting
from hf_mtl.batch import StepFacts
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.processes import Processes
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.result import StepResult

NAMES = ["a", "b", "c"]


PER_TASK = {"fixed": {"weights": [0.2, 1.0, 3.0]}, "uw": {"init": [0.5, -1.0, 0.1]}}


def weighting_of(name: str, **options: object) -> LossWeighting:
    weighting = build_weighting(name, num_tasks=3, **{**PER_TASK.get(name, {}), **options})
    weighting.observe(sizes=[30, 8, 4], seed=0)
    return weighting


class Opened(Objective):
    """An objective that begins a step with its first micro-batch."""

    def __init__(
        self, weighting: LossWeighting, micro_batches: int, processes: Processes | None = None, **options: Any
    ):
        super().__init__(NAMES, weighting, processes or Processes(), **options)
        self.micro_batches = micro_batches
        self.is_open = False

    def part(
        self,
        rows: Mapping[str, Tensor],
        facts: StepFacts,
        penalties: Mapping[str, Tensor] | None = None,
        values: Mapping[str, Mapping[str, Tensor]] | None = None,
        losses: Tensor | None = None,
    ) -> Tensor:
        if not self.is_open:
            self.begin(facts, self.micro_batches)
        self.is_open = True
        return self.micro_batch(MultiTaskOutput(None, None, rows, penalties, values), facts, losses)

    def finish(self, grad_scale: float = 1.0, learn: bool = True, stop: bool = False) -> StepResult:
        self.is_open = False
        return super().finish(grad_scale, learn, stop)


def objective_of(
    weighting: LossWeighting,
    micro_batches: int,
    exposure: Exposure = "rows",
    reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Opened:
    return Opened(weighting, micro_batches, Processes(reduce_sum=reduce_sum), exposure=exposure)


def step_of(
    counts: list[int],
    nominal: list[int] | None = None,
    coefficients: list[float] | None = None,
    masses: list[float] | None = None,
    own_masses: list[float] | None = None,
) -> StepFacts:
    """A step whose rows have mass 1 unless it is said, and of which this is the only micro-batch."""
    found = [float(count) for count in counts] if masses is None else masses
    return {
        "step": 0,
        "counts": counts,
        "nominal": nominal or counts,
        "coefficients": coefficients or [1.0] * len(counts),
        "masses": found,
        "own_masses": own_masses or found,
    }
