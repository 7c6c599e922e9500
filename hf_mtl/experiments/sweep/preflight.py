"""The data and the models of a new sweep, looked at before its first trial."""

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from hf_mtl.errors import Mistake, RecipeError, UserError
from hf_mtl.experiments.preflight import OF_ROWS, Looks
from hf_mtl.experiments.sweep.arms import Arm, beside
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.metric import OF_ALL
from hf_mtl.experiments.sweep.space import Dimension
from hf_mtl.recipe.nodes import Origin

_MOST_TRIED = 32
"""Combinations of other values beside one that does not go with the arm's own."""

Changes = dict[str, tuple[Any, Origin]]


def refuse_unusable(sweep: Sweep) -> None:
    """Load the rows and the tokenizer of every arm and make its model, as its default trial will.

    Searched keys that decide over rows or models are tried at both ends, or with each choice: first beside the arm's
    own values, then beside others that are searched, and refused where they go with none.

    Args:
        sweep: The sweep.

    Raises:
        UserError: If they cannot be used, or there are no validation rows for the score.
    """
    looks = Looks()
    for arm in sweep.arms:
        scored = looks.at(arm.recipe, f"arms.{arm.name}").split("validation")
        own = [name for name in arm.recipe.tasks if sweep.metric.startswith(f"{name}_")]
        if not scored or (sweep.metric not in OF_ALL and not any(name in scored for name in own)):
            remedy = "Name a split validation, or have one carved: validation_fraction of a task's dataset."
            raise RecipeError(Mistake("metric", f"no validation rows of {arm.name} for '{sweep.metric}'", remedy))
        for item in _of_rows(arm):
            for corner in item.placed_corners():
                _refuse_useless(arm, item, corner, looks)


def _of_rows(arm: Arm) -> list[Dimension]:
    return [item for item in arm.dimensions if item.key.split(".")[0] in OF_ROWS]


def _refuse_useless(arm: Arm, item: Dimension, corner: tuple[Any, Origin], looks: Looks) -> None:
    """Refuse a value that no run could have, whatever the others are.

    Raises:
        UserError: What is wrong with it beside the arm's own values, at the place of the value.
    """
    first: UserError | None = None
    for others in islice(_beside(arm, item), _MOST_TRIED):
        try:
            looks.at(arm.changed({**others, item.key: corner}))
            return
        except UserError as error:
            first = first or error
    assert first is not None
    raise type(first)([beside(mistake, item.key, str(corner[1])) for mistake in first.mistakes]) from first


def _beside(arm: Arm, item: Dimension) -> Iterator[Changes]:
    """Yield other searched values beside one: none, then the ends of all others together."""
    others = [other for other in _of_rows(arm) if other is not item]
    yield {}
    for corners in product(*(other.placed_corners() for other in others)) if others else ():
        yield {other.key: corner for other, corner in zip(others, corners, strict=True)}
