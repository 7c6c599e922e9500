"""Figure of a sweep: how the best score grew with the trials, and what the keys matter."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.experiments.results import Record
from hf_mtl.reporting.style import label_panel, new_figure, plain_name, save, task_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EDGE = "#555555"


def sweep_figure(path: Path, found: Mapping[str, Any], records: Sequence[Record], startup: int) -> None:
    """Draw each arm's trials in their order with the best so far, and below the importance of its keys.

    Args:
        path: File to write; its suffix names the format.
        found: As `answer` returns it.
        records: Records of all trials.
        startup: Trials before TPE.
    """
    from matplotlib.ticker import MaxNLocator  # a second to import

    arms = found["arms"]
    explained = {name: arm["importance"] for name, arm in arms.items() if arm["importance"]}
    heights = [1.3, *(0.25 + 0.12 * len(shares) for shares in explained.values())]
    figure, (history, *bars) = new_figure(1 + len(explained), 2 * len(arms) + 3, by_step=False, heights=heights)
    styles = task_styles(list(arms))
    for name, arm in arms.items():
        mine = sorted((item for item in records if item["arm"] == name), key=lambda item: int(item["trial"]))
        _history(history, name, mine, styles[name].colour, found["maximize"], arm["default"])
    if any(record["stage"] == "tpe" for record in records):
        history.axvline(startup - 0.5, color=_EDGE, linestyle=":", linewidth=1.0, label="TPE begins")
    history.set_xlabel("trial")
    history.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_panel(history, "Trials and the best so far; hollow: pruned, crosses at the edge: failed", found["metric"])
    for axis, (name, shares) in zip(bars, explained.items(), strict=True):
        _bars(axis, name, shares, styles[name].colour)
    save(figure, path)


def _history(
    axis: "Axes", name: str, records: Sequence[Record], colour: str, maximize: bool, default: Record | None
) -> None:
    complete = [(item["trial"], item["value"]) for item in records if item["state"] == "complete"]
    if complete:
        numbers, values = zip(*complete, strict=True)
        axis.plot(numbers, values, "o", color=colour, markersize=4, alpha=0.6)
        better = max if maximize else min
        best = [better(values[: place + 1]) for place in range(len(values))]
        axis.plot(
            [*numbers, records[-1]["trial"]], [*best, best[-1]], color=colour, drawstyle="steps-post", label=name
        )
    if default is not None:
        axis.axhline(default["value"], color=colour, linestyle="--", linewidth=0.9, label=f"{name}, default")
    pruned = [item for item in records if item["state"] == "pruned" and item.get("last") is not None]
    for item in pruned:
        axis.plot(item["trial"], item["last"], "o", color=colour, markersize=5, fillstyle="none")
    for item in records:
        if item["state"] == "failed":
            place = axis.get_xaxis_transform()
            axis.plot(item["trial"], 0.02, "x", color=colour, markersize=6, transform=place, clip_on=False)


def _bars(axis: "Axes", name: str, shares: Mapping[str, float], colour: str) -> None:
    keys = sorted(shares, key=lambda key: shares[key])
    axis.barh(range(len(keys)), [100 * shares[key] for key in keys], color=colour, height=0.7)
    axis.set_yticks(range(len(keys)), keys)
    for text in axis.get_yticklabels():
        plain_name(text)
    axis.set_xlim(0, 100)
    axis.grid(False, axis="y")
    axis.set_xlabel("% of the variance")
    label_panel(axis, f"Importance of the keys of {name} (fANOVA)", "")
