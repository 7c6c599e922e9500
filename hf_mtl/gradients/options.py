"""What a user may say about how task gradients are formed, held and recorded."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from hf_mtl.balancing.checks import choice

Hold = Literal["auto", "float32", "bfloat16", "recompute"]
Layout = Literal["auto", "segments", "split"]


@dataclass(frozen=True)
class GradientOptions:
    """How task gradients are formed, held and recorded.

    Up to rounding, no choice changes an update; bfloat16 rows are rounded once more with every micro-batch.

    Args:
        hold: How the task gradients of a step are held: ``float32`` or ``bfloat16`` rows, [T, P] numbers, or not at
            all (``recompute``): weight gradients are formed a second time from the same activations, once it is known
            how to combine them. ``auto``: by the number of tasks and parameters and the free memory.
        layout: ``segments``: one mixed forward and one backward, weight gradients formed per task; ``split``: length
            groups of one task each, and one backward per task. ``auto``: segments where the model's layers allow.
        log_every: Optimizer steps between two samples of cosines, norms and conflict rate, where no aggregator
            decides by them anyway; 0: never. A sample costs about a step of one micro-batch: 1% of the time at 100.

    Raises:
        ValueError: If a word is unknown, or ``log_every`` is negative.
    """

    hold: Hold = "auto"
    layout: Layout = "auto"
    log_every: Annotated[int, Field(ge=0)] = 100

    def __post_init__(self) -> None:
        choice(self.hold, get_args(Hold), "hold")
        choice(self.layout, get_args(Layout), "layout")
        if self.log_every < 0:
            raise ValueError(f"log_every is {self.log_every}; needs 0 or more")
