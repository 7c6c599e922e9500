"""The section ``data`` of a recipe and of a Trainer."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from hf_mtl.errors import Mistake
from hf_mtl.options import by_task_mistakes, parse_partly
from hf_mtl.tasks.fields import Frozen

RATIO = "data.imbalance.ratio"

Contamination: TypeAlias = Literal["warn", "drop", "error", "off"]


class ImbalanceSpec(Frozen):
    """Training rows of all tasks in a ratio, each task with the shares of classes that it had."""

    ratio: dict[str, Annotated[int, Field(ge=1)]] = Field(
        description="Parts of each task, such as {sentiment: 8, emotion: 1, irony: 1}."
    )
    unit: int | None = Field(None, ge=1, description="Rows of a part. Default: as many as all tasks can give.")


class Spec(Frozen):
    """Settings for the rows of all tasks together."""

    contamination: Contamination = Field(
        "warn",
        description="Rows to score that stand in the training rows of any task: say how many (warn), take the "
        "training rows out (drop), refuse to train (error), or do not look for them (off).",
    )

    imbalance: ImbalanceSpec | None = Field(
        None,
        description="Draw training rows of every task so that their numbers have a ratio, after max_rows and "
        "train_fraction: {ratio: {sentiment: 8, emotion: 1, irony: 1}}.",
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


def mistakes(spec: Spec, tasks: Collection[str]) -> list[Mistake]:
    """Find what cannot be so with these tasks.

    Args:
        spec: The section.
        tasks: The names of the tasks that are trained.
    """
    return [] if spec.imbalance is None else by_task_mistakes(spec.imbalance.ratio, RATIO, tasks)
