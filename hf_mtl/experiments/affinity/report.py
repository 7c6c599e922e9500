"""What was found of affinities, as text, as a figure, and as files."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.experiments.affinity.linear_model import RIDGES
from hf_mtl.experiments.affinity.matrix import AffinityMatrix
from hf_mtl.experiments.affinity.proposal import FILE, write_proposal
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.reporting.style import colour_bar, label_panel, new_figure, save
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from hf_mtl.experiments.affinity.measure import Found

FIGURE = "affinity.png"
_NUMBERED = 12
"""Up to so many tasks every affinity is written into its cell."""


def write(found: "Found") -> None:
    """Write the matrix, the figure and the proposal; the matrix last, which says that all of it is there."""
    found.folder.mkdir(parents=True, exist_ok=True)
    drawn(found.folder / FIGURE, affinity_figure, found.affinity)
    keys = ("value", "value_error", "together")
    facts = {"method": found.affinity.method, **{key: getattr(found, key) for key in keys}}
    write_proposal(found.folder / FILE, found.groups, **facts)
    write_json_atomic(found.folder / "affinity.json", as_plain(found))


def as_plain(found: "Found") -> dict[str, Any]:
    """Return all of it in plain values."""
    joint = found.joint
    return {
        "method": found.affinity.method,
        "tasks": list(found.affinity.tasks),
        "affinity": found.affinity.values,
        "standard_errors": found.affinity.errors,
        **found.details,
        "groups": found.groups,
        "value": found.value,
        "value_error": found.value_error,
        "together": found.together,
        "joint_run": {
            "model": str(joint.model),
            "trained_here": joint.trained_here,
            "steps": joint.steps,
            "flops": joint.flops,
        },
        "flops": {"looking": found.looked, "spent": found.spent, "training_run": found.recipe_flops},
    }


def decimals_of(affinity: AffinityMatrix) -> int:
    """Return how many decimals show three digits of the largest affinity of different tasks, in percent."""
    largest = max(map(abs, affinity.pairs.values()), default=0.0)
    return max(0, -math.floor(math.log10(largest))) if largest > 0 and math.isfinite(largest) else 0


def table(affinity: AffinityMatrix) -> str:
    """Write a matrix in percent, from whom in rows and to whom in columns, each with its standard error."""
    decimals = decimals_of(affinity)
    cells = [["from \\ to", *affinity.tasks]]
    for i, task in enumerate(affinity.tasks):
        cells.append([task, *(_cell(affinity, i, j, decimals) for j in range(len(affinity.tasks)))])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([*lines[:1], "-" * len(lines[0]), *lines[1:]])


def _cell(affinity: AffinityMatrix, i: int, j: int, decimals: int) -> str:
    return "-" if i == j else _percent(affinity.values[i, j], affinity.errors[i, j], decimals)


def _percent(value: float, error: float, decimals: int, between: str = " ± ") -> str:
    said = f"{100 * value:z.{decimals}f}"
    return said if math.isnan(error) else f"{said}{between}{100 * error:.{decimals}f}"


def text(found: "Found") -> str:
    """Say all of it."""
    affinity, joint = found.affinity, found.joint
    groups = ", ".join("{" + ", ".join(group) + "}" for group in found.groups)
    clear = sum(abs(affinity.values[i, j]) > 2 * affinity.errors[i, j] for i, j in _off_diagonal(affinity))
    over = "sampled batches" if affinity.method == "lookahead" else "validation rows"
    looked = f"{joint.model}, of a joint run that was there"
    if joint.trained_here:
        looked = f"{joint.model}, a joint run of {joint.steps or 0:,} steps that was trained for this"
    return "\n".join(
        [
            f"Affinity, {affinity.method}: by what part the loss of a task (column) drops when another (row) joins,",
            f"in %, ± one standard error over {over};",
            f"{clear} of {len(affinity.pairs)} are more than two of these from 0.",
            "",
            table(affinity),
            *_notes(found),
            "",
            f"Proposal: {groups}",
            *_value(found),
            f"Looked at: {looked}",
            f"Cost: {_cost(found)}",
            "An affinity is no measured gain: compare the groups with other arms before relying on them.",
        ]
    )


def _value(found: "Found") -> list[str]:
    """Say what the proposal is worth by the affinities, and how sure that is."""
    affinity, decimals = found.affinity, decimals_of(found.affinity)
    value = _percent(found.value, found.value_error, decimals)
    together = f"one group of all {_percent(found.together, math.nan, decimals)}, every task alone 0"
    lines = [f"  value in %: {value}; {together}"]
    places = {task: place for place, task in enumerate(affinity.tasks)}
    inside = [(places[a], places[b]) for group in found.groups for a in group for b in group if a != b]
    if not inside:
        return lines
    vague = sum(not abs(affinity.values[i, j]) > 2 * affinity.errors[i, j] for i, j in inside)
    lines.append(f"  {vague} of the {len(inside)} affinities that it rests on are within two standard errors of 0.")
    if not found.value > 2 * found.value_error:
        why = (
            "its error is unknown"
            if math.isnan(found.value_error)
            else "its value is within two standard errors of 0"
        )
        lines.append(f"  It is not told apart from every task alone: {why}.")
    return [*lines, "  The best of many partitions looks better than it is: the ± does not know that it was chosen."]


def _notes(found: "Found") -> list[str]:
    """Say what limits what was found."""
    if found.details.get("ridge", 0.0) < RIDGES[-1]:
        return []
    return [
        "The rows teach little at this checkpoint: of the ridges that were tried the largest is best, and small",
        "affinities are all that it allows. A longer joint run or more --rows may say more.",
    ]


def _off_diagonal(affinity: AffinityMatrix) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in np.argwhere(~np.eye(len(affinity.tasks), dtype=bool))]


def _cost(found: "Found") -> str:
    joint = found.joint
    parts = f"{found.looked:.3g} FLOPs to look"
    if joint.trained_here:
        parts += f", and {joint.flops or 0.0:.3g} to train the joint run"
    else:
        parts += "; the joint run was there"
    run = found.recipe_flops
    if not run:
        return f"{parts}; what a training run of the recipe takes is unknown, as the joint run has no log"
    return f"{parts}: {found.spent / run:.1%} of one training run of the recipe ({run:.3g} FLOPs)"


def affinity_figure(path: str | Path, affinity: AffinityMatrix) -> None:
    """Draw a matrix of affinities, blue where a task helps another and red where it harms.

    Args:
        path: File to write; its suffix names the format.
        affinity: The affinities.
    """
    tasks, decimals = affinity.tasks, decimals_of(affinity)
    values = 100 * affinity.values
    np.fill_diagonal(values, np.nan)
    most = float(np.nanmax(np.abs(values))) or 1.0
    figure, (panel,) = new_figure(1, len(tasks), by_step=False)
    figure.set_size_inches(3.2 + 0.75 * len(tasks), 1.8 + 0.65 * len(tasks))
    image = panel.imshow(values, cmap="RdBu", vmin=-most, vmax=most)
    panel.set_anchor("W")
    names = [visible(task) for task in tasks]
    panel.set_xticks(range(len(tasks)), names, rotation=30, ha="right", parse_math=False)
    panel.set_yticks(range(len(tasks)), names, parse_math=False)
    panel.set_xlabel("to: whose loss drops")
    panel.grid(False)
    for i, j in _off_diagonal(affinity) if len(tasks) <= _NUMBERED else ():
        colour = "white" if abs(values[i, j]) > 0.6 * most else "black"
        said = _percent(affinity.values[i, j], affinity.errors[i, j], decimals, "\n±")
        panel.text(j, i, said, ha="center", va="center", fontsize=8, color=colour)
    colour_bar(panel, image, "% of the loss")
    label_panel(panel, f"Affinity of tasks, {affinity.method} (below 0: the task harms)", "from: who joins")
    save(figure, path)
