"""Options of the task gradients: their layout, their number format, and what of them is logged."""

from typing import Annotated, Literal

from pydantic import Field

from hf_mtl.signatures import Options

Hold = Literal["auto", "float32", "bfloat16", "recompute"]
LayoutChoice = Literal["auto", "segments", "split"]


class GradientOptions(Options):
    """Options of the way in which task gradients are formed, held and recorded.

    Up to rounding, no choice changes an update; bfloat16 rows are rounded once more with every micro-batch.
    """

    hold: Hold = Field(
        "auto",
        description="How the task gradients of a step are held: ``float32`` or ``bfloat16`` rows, [T, P] numbers, or "
        "not at all (``recompute``): weight gradients are formed a second time from the same activations, once it is "
        "known how to combine them. ``auto``: by the number of tasks and parameters and the free memory.",
    )
    layout: LayoutChoice = Field(
        "auto",
        description="``segments``: one mixed forward and one backward, weight gradients formed per task; ``split``: "
        "rows of one task at a time, and one backward per task. ``auto``: segments where the model's layers "
        "allow.",
    )
    log_every: Annotated[int, Field(ge=0)] = Field(
        100,
        description="Optimizer steps between two samples of cosines, norms and conflict rate, where no aggregator "
        "decides by them anyway (those of whole rows, such as ``graddrop``, do not); 0: never. A sample costs about "
        "a step of one micro-batch: 1% of the time at 100.",
    )
