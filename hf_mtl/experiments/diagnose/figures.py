"""Figures of a diagnosis: heat maps of CKA, and curves over the layers."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.experiments.diagnose.curves import clusters_figure, likeness_figure, probes_figure, subspaces_figure
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.style import COLOURS, colour_bar, label_panel, new_grid, plain_name, save, task_styles
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = 9
"""Panels of one figure, three in a row."""
_NUMBERED = 8
"""Up to so many rows every number is written into its cell."""
_SIGNALS = {
    "score": "score at the last evaluation of the first tenth",
    "loss": "training loss after the first tenth",
    "fall": "share of the training loss that is gone",
}


def draw_diagnosis(found: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw what there is to draw; a figure that cannot be drawn is said, and left out.

    Args:
        found: As from `hf_mtl.experiments.diagnose.diagnose_runs`.
        folder: Where the figures go.

    Returns:
        Their names.
    """
    figures: dict[str, tuple[Callable[..., None], Any]] = {}
    for name, items, draw in (("cka", found["cka"], cka_figure), ("heads", found["heads"], heads_figure)):
        pages = [items[start : start + _PANELS] for start in range(0, len(items), _PANELS)]
        for number, page in enumerate(pages, start=1):
            figures[name if len(pages) == 1 else f"{name}-{number}"] = (draw, page)
    figures["runs"] = (likeness_figure, [pair for pair in found["cka"] if "by_task" in pair])
    within = [pair for pair in found["subspaces"] if pair["a"][0] == pair["b"][0]]
    figures["subspaces"] = (subspaces_figure, within)
    figures["subspaces_of_runs"] = (subspaces_figure, [pair for pair in found["subspaces"] if pair not in within])
    figures["probes"] = (probes_figure, found["probes"])
    clusters = [*found["clusters"], *found["task_silhouettes"]]
    figures["clusters"] = (clusters_figure, clusters)
    figures["early"] = (early_figure, _early_points(found["early"]))
    return [
        f"{name}.png"
        for name, (draw, values) in figures.items()
        if values and drawn(folder / f"{name}.png", draw, values)
    ]


def cka_figure(path: Path, pairs: Sequence[Mapping[str, Any]]) -> None:
    """Draw the debiased CKA of the layers of pairs of runs, a heat map each.

    Args:
        path: File to write.
        pairs: As from `hf_mtl.experiments.diagnose.likeness.layer_likeness`, nine at the most.
    """
    _heat_maps(path, "layers on the same rows (0: the embeddings)", pairs, _name_both_runs)


def _name_both_runs(axis: "Axes", pair: Mapping[str, Any]) -> None:
    axis.invert_yaxis()  # the input below, as networks are drawn
    rows, columns = np.shape(pair["debiased"])
    step = max(1, math.ceil(max(rows, columns) / 13))
    axis.set_xticks(range(0, columns, step))
    axis.set_yticks(range(0, rows, step))
    axis.set_xlabel(f"layer of {pair['b']}")
    plain_name(axis.xaxis.label)
    label_panel(axis, "", f"layer of {pair['a']}")
    plain_name(axis.yaxis.label)


def heads_figure(path: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Draw the debiased CKA of what the heads of each run make of the same rows.

    Args:
        path: File to write.
        runs: As from `hf_mtl.experiments.diagnose.likeness.head_likeness`, nine at the most.
    """
    _heat_maps(path, "what the tasks' heads make of the same rows", runs, _name_tasks)


def _name_tasks(axis: "Axes", run: Mapping[str, Any]) -> None:
    names = [visible(task) for task in run["tasks"]]
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
    axis.set_yticks(range(len(names)), names, parse_math=False)
    label_panel(axis, run["run"], "")


def _heat_maps(
    path: Path, of: str, items: Sequence[Mapping[str, Any]], name: Callable[["Axes", Mapping[str, Any]], None]
) -> None:
    """Draw the debiased CKA of each item as a heat map, whose axes are then named."""
    figure, axes = new_grid(len(items), min(len(items), 3), shared=False)
    for axis, item in zip(axes, items, strict=True):
        _heat_map(axis, np.asarray(item["debiased"], dtype=float))
        name(axis, item)
    figure.suptitle(f"Debiased linear CKA of {of}", fontsize=11)
    save(figure, path)


def _heat_map(axis: "Axes", values: np.ndarray) -> None:
    """Draw numbers up to 1; what the debiased form has below 0 has the colour of 0."""
    image = axis.imshow(values, cmap="viridis", vmin=0.0, vmax=1.0)
    axis.grid(False)
    if max(values.shape) <= _NUMBERED:
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                colour = "black" if value > 0.6 else "white"
                axis.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=8, color=colour)
    colour_bar(axis, image)


def _early_points(early: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the signals of each run and task whose final score is known."""
    points = [
        {"run": run, "task": task, **signals}
        for run, log in early["runs"].items()
        for task, signals in log["tasks"].items()
    ]
    points = [point for point in points if any(math.isfinite(point[key]) for key in _SIGNALS)]
    points = [point for point in points if math.isfinite(point["final"])]
    correlations = early["tasks"]
    return [{**point, "correlations": correlations} for point in points]


def early_figure(path: Path, points: Sequence[Mapping[str, Any]]) -> None:
    """Draw the final score of each task of each run against what its log says early.

    Args:
        path: File to write.
        points: The signals, by ``run`` and ``task``, with their ``correlations``.
    """
    signals = {key: words for key, words in _SIGNALS.items() if any(math.isfinite(point[key]) for point in points)}
    figure, axes = new_grid(len(signals), len(signals), shared=False)
    tasks = list(dict.fromkeys(point["task"] for point in points))
    styles = task_styles(tasks)
    for axis, (key, words) in zip(axes, signals.items(), strict=True):
        for task in tasks:
            mine = [point for point in points if point["task"] == task]
            label = task if axis is axes[-1] else None
            hollow = list(styles).index(task) >= len(COLOURS)
            axis.scatter(
                *([point[name] for point in mine] for name in (key, "final")),
                color=styles[task].colour,
                facecolors="none" if hollow else styles[task].colour,
                label=label,
            )
        found = points[0]["correlations"][key]
        known = math.isfinite(found["spearman"])
        said = f"rank correlation {found['spearman']:.2f} of" if known else "no correlation said of"
        axis.set_xlabel(words)
        label_panel(axis, f"{said} {found['n']} points", "final score" if axis is axes[0] else "")
    save(figure, path)
