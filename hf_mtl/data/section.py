"""The section ``data`` of a recipe and of a Trainer."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, WithJsonSchema, model_validator

from hf_mtl.errors import Mistake
from hf_mtl.options import by_task_mistakes, parse_partly
from hf_mtl.tasks import AnyTask
from hf_mtl.tasks.fields import Frozen

RATIO = "data.imbalance.ratio"

BESIDE = "data.beside"

OF_RECIPES = ("fold", "beside", "carving_seed")
"""Keys that decide what is read, which in Python has been read before."""

Contamination: TypeAlias = Literal["warn", "drop", "error", "off"]


class ImbalanceSpec(Frozen):
    """Training rows of all tasks in a ratio, each task with the shares of classes that it had."""

    ratio: dict[str, Annotated[int, Field(ge=1)]] = Field(
        description="Parts of each task, such as {sentiment: 8, emotion: 1, irony: 1}."
    )
    unit: int | None = Field(None, ge=1, description="Rows of a part. Default: as many as all tasks can give.")


class FoldSpec(Frozen):
    """One fold of k: all rows of a task are dealt out anew, and those of the fold are its test rows.

    By a hash of each text, or by class for tasks that say ``stratify``.
    """

    of: int = Field(ge=2, description="Number of folds k.")
    number: int = Field(0, ge=0, description="The fold that is scored, from 0.")
    seed: int = Field(0, ge=0, description="Seed of the draw; another one is another split into folds.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.number >= self.of:
            raise ValueError(f"a fold from 0 to {self.of - 1}")
        return self


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

    fold: FoldSpec | None = Field(
        None,
        description="Put all splits of every task together, deal them out in folds, and score one as test: "
        "{of: 5, number: 0, seed: 0}. Of the others validation_fraction becomes validation.",
    )

    carving_seed: int | None = Field(
        None,
        ge=0,
        description="Seed of the draw of validation_fraction and test_fraction, so that runs of other seeds have the "
        "same rows to score. Default: training.data_seed, or seed, by which training rows are drawn.",
    )

    beside: Annotated[Mapping[str, AnyTask], WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict,
        description="Tasks, as in tasks, that are neither trained nor scored: the rows of the others are carved, and "
        "taken out (contamination: drop), as they would be if these were trained too.",
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
    twice = [
        Mistake(f"{BESIDE}.{name}", "is a task that is trained", "Leave one of them out.")
        for name in spec.beside
        if name in tasks
    ]
    return twice if spec.imbalance is None else [*twice, *by_task_mistakes(spec.imbalance.ratio, RATIO, tasks)]
