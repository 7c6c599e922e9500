"""Curves over the layers of encoders: probes, clusters, subspaces, and tasks of two runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.reporting.style import COLOURS, label_panel, marks, new_figure, new_grid, plain_name, save, task_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Items = Sequence[Mapping[str, Any]]
_LAYER = "layer (0: the embeddings)"


def _curve(axis: "Axes", values: Sequence[float], label: str | None, **style: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [_finite(value) for value in values]
    axis.plot(range(len(numbers)), numbers, label=label, **{**marks(numbers), **style})
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _name_layers(axes: "Sequence[Axes]") -> None:
    for axis in axes:
        axis.set_xlabel(_LAYER)


def _grid(count: int, title: str, unit: str) -> "tuple[Figure, list[Axes]]":
    """Return a figure of panels of one unit, from 0 to 1, whose horizontal axis is the layers."""
    columns = min(count, 3)
    figure, axes = new_grid(count, columns)
    figure.suptitle(title, fontsize=11)
    for number, axis in enumerate(axes):
        axis.set_ylim(-0.03, 1.03)
        if number + columns >= count:
            axis.set_xlabel(_LAYER)
        if number % columns == 0:
            axis.set_ylabel(unit)
    return figure, axes


def _title(axis: "Axes", number: int, count: int, title: str) -> None:
    """Name a panel of a grid; the last one of the first row has the legend of all."""
    unit = axis.get_ylabel()
    if number == min(count, 3) - 1:
        label_panel(axis, title, unit)
    else:
        plain_name(axis.set_title(title, loc="left", fontsize=11))


def probes_figure(path: Path, probes: Items) -> None:
    """Draw the score of a linear probe of each layer, a panel for each task and a line for each run.

    Scores of which 1 is the most have one scale in all panels.

    Args:
        path: File to write.
        probes: As from `hf_mtl.experiments.diagnose.readings.probe_layers`.
    """
    tasks = list(dict.fromkeys(probe["task"] for probe in probes))
    styles = task_styles(list(dict.fromkeys(probe["run"] for probe in probes)))
    figure, axes = new_figure(len(tasks), 2 * len(styles) + 1, by_step=False)
    values = {task: _scores_of(task, probes) for task in tasks}
    scale = [value for found in values.values() if max(found, default=2.0) <= 1 for value in found]
    for axis, task in zip(axes, tasks, strict=True):
        mine = [probe for probe in probes if probe["task"] == task]
        for probe in mine:
            style = styles[probe["run"]]
            _curve(axis, probe["layers"], probe["run"], color=style.colour, linestyle=style.line)
        for probe in mine:
            if probe["model"] is not None:
                label = f"{probe['run']}: its own head"
                axis.axhline(
                    probe["model"], color=styles[probe["run"]].colour, linewidth=1, linestyle=":", label=label
                )
        axis.axhline(_finite(mine[0]["chance"]), color="black", linewidth=1, linestyle="--", label="chance")
        if max(values[task], default=2.0) <= 1:
            margin = 0.05 * (max(scale) - min(scale)) + 0.005
            axis.set_ylim(min(scale) - margin, max(scale) + margin)
        rows = f"{mine[0]['train_rows']:,} rows to learn from, {mine[0]['rows']:,} scored"
        label_panel(axis, f"Linear probes of each layer: {task} ({rows})", mine[0]["metric"])
    _name_layers(axes)
    save(figure, path)


def _scores_of(task: str, probes: Items) -> list[float]:
    """Return all scores of a panel that are known."""
    mine = [probe for probe in probes if probe["task"] == task]
    found = [_finite(score) for probe in mine for score in (*probe["layers"], probe["chance"], probe["model"])]
    return [score for score in found if not math.isnan(score)]


def _finite(value: float | None) -> float:
    return math.nan if value is None else float(value)


def clusters_figure(path: Path, clusters: Items) -> None:
    """Draw silhouette and ARI of the classes of tasks, and the silhouette of the tasks, two panels for each run.

    Args:
        path: File to write.
        clusters: As from `cluster_layers` and `task_silhouettes` of `hf_mtl.experiments.diagnose.readings`; these
            have no task.
    """
    runs = list(dict.fromkeys(item["run"] for item in clusters))
    tasks = list(dict.fromkeys(item["task"] for item in clusters if "task" in item))
    styles = task_styles(tasks)
    panels = [(run, key) for run in runs for key in ("silhouette", "ari")]
    panels = [panel for panel in panels if any(_has(item, panel) for item in clusters)]
    figure, axes = new_figure(len(panels), 2 * len(tasks) + 1, by_step=False)
    for axis, (run, key) in zip(axes, panels, strict=True):
        for item in clusters:
            if not _has(item, (run, key)):
                continue
            if "task" not in item:
                _curve(axis, item[key], "all rows, by task", color="black", linewidth=2)
                continue
            style = styles[item["task"]]
            _curve(axis, item[key], f"{item['task']}, by class", color=style.colour, linestyle=style.line)
            if item["head"] is not None:  # beside the last layer
                place, value = len(item[key]) - 0.5, item["head"][key]
                axis.plot(place, value, "D", color=style.colour, label=f"{item['task']}, in its head")
        names = {"silhouette": "Silhouette", "ari": "Agreement of k-means with the classes"}
        label_panel(axis, f"{names[key]}: {run}", key.replace("ari", "ARI"))
    _name_layers(axes)
    save(figure, path)


def _has(item: Mapping[str, Any], panel: tuple[str, str]) -> bool:
    return item["run"] == panel[0] and panel[1] in item


def subspaces_figure(path: Path, pairs: Items) -> None:
    """Draw how the main directions of tasks align, a panel for each run and for each pair of runs.

    Of many pairs of tasks each task's mean with the others is drawn.

    Args:
        path: File to write.
        pairs: As from `hf_mtl.experiments.diagnose.likeness.subspace_likeness`: all of tasks in one run, or all of
            runs.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for pair in pairs:
        groups.setdefault((pair["a"][0], pair["b"][0]), []).append(pair)
    within = all(a == b for a, b in groups)
    what = "of different tasks" if within else "of each task in two runs"
    figure, axes = _grid(len(groups), f"Main directions {what} that are in common", "mean squared cosine")
    for number, (axis, ((a, b), items)) in enumerate(zip(axes, groups.items(), strict=True)):
        lines = _lines(items)
        styles = task_styles(list(lines))
        for name, values in lines.items():
            _curve(axis, values, name, color=styles[name].colour, linestyle=styles[name].line)
        chance = np.mean([[layer["chance"] for layer in item["layers"]] for item in items], axis=0)
        _curve(axis, chance, "by chance", color="black", linestyle=":", marker="")
        _title(axis, number, len(groups), a if a == b else f"{a} and {b}")
    save(figure, path)


def _lines(pairs: Items) -> dict[str, Sequence[float]]:
    """Return the lines of a panel by name: of each pair of tasks, of each task with the others, or with itself."""
    found = {
        (pair["a"][1], pair["b"][1]): [layer["mean_squared_cosine"] for layer in pair["layers"]] for pair in pairs
    }
    if all(a == b for a, b in found):
        return {a: values for (a, _), values in found.items()}
    if len(found) <= len(COLOURS):
        return {f"{a}, {b}": values for (a, b), values in found.items()}
    tasks = dict.fromkeys(task for pair in found for task in pair)
    return {
        f"{task}, mean of pairs": _mean(values for pair, values in found.items() if task in pair) for task in tasks
    }


def _mean(curves: Iterable[Sequence[float]]) -> Sequence[float]:
    found: list[float] = np.mean(list(curves), axis=0).tolist()
    return found


def likeness_figure(path: Path, pairs: Items) -> None:
    """Draw the CKA of each layer of two runs on each task's rows, a panel for each pair of runs.

    Args:
        path: File to write.
        pairs: Those of `hf_mtl.experiments.diagnose.likeness.layer_likeness` that have ``by_task``.
    """
    styles = task_styles(list(pairs[0]["by_task"]))
    figure, axes = _grid(len(pairs), "The same layer of two runs, on the rows of each task", "debiased CKA")
    for number, (axis, pair) in enumerate(zip(axes, pairs, strict=True)):
        for task, values in pair["by_task"].items():
            _curve(axis, values, task, color=styles[task].colour, linestyle=styles[task].line)
        _title(axis, number, len(pairs), f"{pair['a']} and {pair['b']}")
    save(figure, path)
