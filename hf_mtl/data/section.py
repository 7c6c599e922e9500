"""The section ``data`` of a recipe and of a Trainer."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from hf_mtl.errors import Mistake
from hf_mtl.options import parse_partly
from hf_mtl.tasks.fields import Frozen

Contamination: TypeAlias = Literal["warn", "drop", "error", "off"]


class Spec(Frozen):
    """Settings for the rows of all tasks together."""

    contamination: Contamination = Field(
        "warn",
        description="Rows to score that stand in the training rows of any task: say how many (warn), take the "
        "training rows out (drop), refuse to train (error), or do not look for them (off).",
    )

    def options(self) -> dict[str, Any]:
        """Return what was set, as plain values."""
        return self.model_dump(exclude_unset=True)


def parse(data: object, mistakes: list[Mistake]) -> Spec:
    """Read the section.

    Args:
        data: The section, as a recipe or Python gives it; None: nothing; one that was read before comes back.
        mistakes: Receives everything that is wrong.

    Returns:
        The section, without the parts that are wrong.
    """
    return parse_partly(Spec, {} if data is None else data, mistakes, "data", "{contamination: drop}")
