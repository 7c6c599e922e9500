"""How an arm looks: the same in every figure of a report."""

from itertools import chain, cycle
from typing import Any, NamedTuple

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.reporting.style import COLOURS

_MARKERS = ("o", "s", "^", "v", "D", "<", ">", "p", "h")
_DASHES: tuple[Any, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (2, 1)))
"""For all lines but the first, lest one hide another in the same place."""
_WIDEST, _NARROWEST = 3.4, 1.4


class ArmStyle(NamedTuple):
    """Look of an arm.

    Args:
        colour: Its colour.
        line: How its line is dashed.
        marker: How its points look.
        width: Width of its line.
    """

    colour: str
    line: Any
    marker: str
    width: float

    def of_line(self) -> dict[str, Any]:
        """Return the look of its line with its points."""
        return {
            "color": self.colour,
            "linestyle": self.line,
            "marker": self.marker,
            "linewidth": self.width,
            "markersize": 3.5,
        }


def arm_styles(found: Answer) -> dict[str, ArmStyle]:
    """Return the look of each arm that the study names, so that it does not hang on what a figure shows.

    Later arms are drawn narrower and above the others: of two lines in one place both are seen.

    Args:
        found: The answer.
    """
    arms = dict.fromkeys([*found.question.arms, *found.trials])
    step = (_WIDEST - _NARROWEST) / max(1, len(arms) - 1)
    looks = zip(arms, cycle(COLOURS), chain(["-"], cycle(_DASHES)), cycle(_MARKERS), strict=False)
    return {
        arm: ArmStyle(colour, line, marker, _WIDEST - step * place)
        for place, (arm, colour, line, marker) in enumerate(looks)
    }
