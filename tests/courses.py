"""Courses whose lengths are given."""

from collections.abc import Sequence

from hf_mtl.data.course import Course


class FixedCourse(Course):
    """Lengths that a test sets, and may change."""

    total_steps: int = 1  # type: ignore[assignment]
    rows_per_step: int = 1  # type: ignore[assignment]
    steps_per_epoch: int = 1  # type: ignore[assignment]
    micro_batches: int = 1  # type: ignore[assignment]

    def __init__(
        self,
        total_steps: int,
        steps_per_epoch: int = 1,
        micro_batches: int = 1,
        step: int = 0,
        tasks: Sequence[str] = (),
    ):
        self.sizes = dict.fromkeys(tasks, 1)
        self.total_steps, self.steps_per_epoch, self.micro_batches = total_steps, steps_per_epoch, micro_batches
        self.step = step
