"""The cosines of the tasks' gradients as a figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.reporting.gradient_figure import cosine_text
from hf_mtl.reporting.style import new_grid, plain_name, save
from hf_mtl.shown import visible

_POINTS = 40.0
"""Size of the letters times the tasks at which a cosine fits into its cell."""


def columns_of(panels: int) -> int:
    """Return how many panels stand in a row.

    Args:
        panels: Their number.
    """
    return 2 if panels == 4 else min(3, panels)


def conflicts(path: Path, found: Answer) -> None:
    """Draw the mean cosines of the tasks' gradients of each arm that measured them.

    Args:
        path: The file.
        found: The answer.
    """
    drawn = matrices(found)
    figure, axes = new_grid(len(drawn), columns_of(len(drawn)))
    names = [visible(task) for task in found.tasks]
    most = max(0.25, *(float(np.nanmax(np.abs(matrix))) for matrix in drawn.values()))
    image, size = None, min(9.0, _POINTS / len(names))
    for axis, (arm, matrix) in zip(axes, drawn.items(), strict=True):
        image = axis.imshow(matrix, cmap="RdBu", vmin=-most, vmax=most)
        axis.grid(False)
        for row, column in zip(*np.nonzero(~np.isnan(matrix)), strict=True):
            value = matrix[row, column]
            colour = "white" if abs(value) > 0.6 * most else "black"
            axis.text(column, row, cosine_text(value), ha="center", va="center", fontsize=size, color=colour)
        axis.set_xticks(range(len(names)), names, rotation=45, ha="right", parse_math=False)
        axis.set_yticks(range(len(names)), names, parse_math=False)
        plain_name(axis.set_title(visible(arm), loc="left", fontsize=11))
    if image is not None:
        figure.colorbar(image, ax=axes, label="mean cosine; below 0: conflict", shrink=0.7)
    save(figure, path)


def matrices(found: Answer) -> dict[str, np.ndarray]:
    """Return the mean cosines of each arm that measured them, [T, T], NaN where a pair was not.

    Args:
        found: The answer.
    """
    means = {}
    for arm in found.costs:  # in the study's order
        sums, counts = (np.zeros((len(found.tasks),) * 2) for _ in range(2))
        for trial in found.trials[arm].values():
            for record in trial.records:
                for pair, value in (record.get("cosines") or {}).items():
                    places = _places(pair, found.tasks)
                    if places and value is not None:
                        for row, column in (places, places[::-1]):
                            sums[row, column] += value
                            counts[row, column] += 1
        if counts.any():
            means[arm] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _places(pair: str, tasks: Sequence[str]) -> tuple[int, int] | None:
    """Return the tasks of a pair ``a/b``, by their numbers."""
    for first, task in enumerate(tasks):
        other = pair.removeprefix(f"{task}/")
        if other != pair and other in tasks:
            return first, tasks.index(other)
    return None
