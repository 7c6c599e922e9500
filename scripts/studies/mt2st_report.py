"""Tables and figure of the MT2ST study, from its results file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from comparisons import Record, Runs, contrasts_table, pairs, plus_minus, runs_by_arm
from mt2st import ARMS, MAIN, parser

from hf_mtl.evaluation import mean_interval
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.reporting.style import label_panel, new_figure, save, task_styles
from hf_mtl.reporting.tables import aligned

Point = Mapping[str, float]


def accuracy(record: Mapping[str, Any]) -> float:
    """Test accuracy of the primary task at the selected evaluation, in %."""
    return 100 * float(record["test"][MAIN])


def scores_table(runs: Runs) -> str:
    """Accuracy of every task on the test rows, and what a whole run cost."""
    auxiliary = sorted({task for mine in runs.values() for record in mine for task in record["test"]} - {MAIN})
    rows = []
    for arm, mine in runs.items():
        last = [record["points"][-1] for record in mine]
        row = [arm, str(len(mine)), plus_minus([accuracy(record) for record in mine])]
        for task in auxiliary:
            values = [100 * record["test"][task] for record in mine if task in record["test"]]
            row.append(f"{np.mean(values):.1f}" if values else "")
        row += [f"{last[0]['step']:.0f}", f"{np.mean([record['best']['step'] for record in mine]):.0f}"]
        row += [f"{np.mean([point['flops'] for point in last]) / 1e12:.3g}"]
        rows.append([*row, f"{np.mean([point['seconds'] for point in last]):.0f}"])
    header = ["arm", "n", f"{MAIN} test accuracy", *auxiliary, "steps", "selected at", "TFLOP", "seconds"]
    return aligned([header, *rows], left=1)


def reached(record: Record, score: float) -> Point | None:
    """The first evaluation with at least this score; None: never."""
    return next((point for point in record["points"] if point["score"] >= score), None)


def common_scores(runs: Runs) -> dict[int, float]:
    """The highest validation score that all arms of a seed reach, by seed."""
    best: dict[int, list[float]] = {}
    for mine in runs.values():
        for record in mine:
            best.setdefault(record["seed"], []).append(record["best"]["score"])
    return {seed: min(values) for seed, values in best.items()}


def saved(method: Sequence[Point | None], baseline: Sequence[Point | None], what: str) -> str:
    """Compression 1 - method / baseline in %, mean over the seeds in which both got there, and how many those are."""
    both = [(a[what], b[what]) for a, b in zip(method, baseline, strict=True) if a is not None and b is not None]
    if not both:
        return f"never (0/{len(method)})"
    mean = float(np.mean([100 * (1 - a / b) for a, b in both]))
    return f"{mean:+.0f}" + ("" if len(both) == len(method) else f" ({len(both)}/{len(method)})")


def compression_table(runs: Runs) -> str:
    """What each arm saves beside single-task learning, at equal steps and at equal score."""
    common, rows = common_scores(runs), []
    for arm in runs:
        both = pairs(runs, arm, "stl")
        if arm == "stl" or not both:
            continue
        mine, stl = zip(*both, strict=True)
        ends = [record["points"][-1] for record in mine], [record["points"][-1] for record in stl]
        same_steps = ends[0][0]["step"] == ends[1][0]["step"]
        selected = [record["best"] for record in mine], [record["best"] for record in stl]
        as_good = [reached(a, b["best"]["score"]) for a, b in both], selected[1]
        shared = [[reached(record, common[record["seed"]]) for record in side] for side in (mine, stl)]
        rows.append(
            [
                arm,
                saved(*ends, "flops") if same_steps else "",
                saved(*selected, "flops"),
                saved(*as_good, "flops"),
                saved(*shared, "flops"),
                saved(*ends, "seconds") if same_steps else "",
                saved(*shared, "seconds"),
            ]
        )
    header = [
        "arm",
        "equal steps",
        "to selected",
        "to STL's best",
        "to common score",
        "s, equal steps",
        "s, to common",
    ]
    return aligned([header, *rows], left=1)


def claim(runs: Runs) -> str:
    """The paper's numbers beside ours."""
    lines = ["Paper (BERT-base, MNLI): Switch +1.9 points and 47.6% fewer operations than STL; Diminish +1.1, 37.1%."]
    for arm in ("switch", "diminish", "diminish_sampling"):
        both = pairs(runs, arm, "stl")
        if len(both) < 2:
            continue
        gain = mean_interval([accuracy(a) - accuracy(b) for a, b in both])
        ends = [[record["points"][-1] for record in side] for side in zip(*both, strict=True)]
        as_good = [reached(a, b["best"]["score"]) for a, b in both], [b["best"] for _, b in both]
        lines.append(
            f"Here, {arm}: {gain.mean:+.2f} points [{gain.low:+.2f}, {gain.high:+.2f}]; operations saved, in %: "
            f"{saved(*ends, 'flops')} at equal steps, {saved(*as_good, 'flops')} to STL's best score."
        )
    return "\n".join(lines)


def figure(path: Path, runs: Runs) -> None:
    """Validation accuracy of the primary task against operations and against time, mean over seeds."""
    drawing, panels = new_figure(2, len(runs) + 1, by_step=False)
    styles = task_styles(list(ARMS))
    axes = (("flops", 1e12, "executed floating point operations, 1e12"), ("seconds", 1.0, "seconds of training"))
    for panel, (what, scale, label) in zip(panels, axes, strict=True):
        for arm, mine in runs.items():
            count = min(len(record["points"]) for record in mine)
            spent, scores = (
                np.mean([[point[key] for point in record["points"][:count]] for record in mine], axis=0)
                for key in (what, "score")
            )
            style = styles[arm]
            panel.plot(
                spent / scale,
                100 * scores,
                label=arm,
                color=style.colour,
                linestyle=style.line,
                marker="o",
                markersize=3,
            )
        panel.set_xlabel(label)
        panel.set_xlim(left=0)
        label_panel(panel, f"Accuracy of {MAIN} on validation, mean over seeds", "%")
    save(drawing, path)


def main() -> None:
    """Print every table that the results allow, and draw the figure."""
    options = parser(__doc__).parse_args()
    runs = runs_by_arm(read_jsonl(options.results), list(ARMS), options.steps, options.rows)
    if "stl" not in runs:
        raise SystemExit(f"{options.results}: no run of single-task learning with these steps and rows")
    others = [(arm, "stl") for arm in runs if arm != "stl"]
    more = [(arm, "mtl") for arm in runs if arm not in ("stl", "stl_long", "mtl")] + [("switch", "stl_long")]
    print(f"\n{scores_table(runs)}\n")
    print(
        "Operations count the frozen layers' forward; seconds leave it out (it is remembered), and evaluations too."
    )
    print(f"\n{contrasts_table(runs, others + more, accuracy, 'points of test accuracy')}")
    print("\nCompression beside STL, % of operations (s: of seconds); negative: it costs more\n")
    print(compression_table(runs))
    print(f"\n{claim(runs)}")
    path = options.work / "mt2st.png"
    figure(path, runs)
    print(f"\nFigure: {path}")


if __name__ == "__main__":
    main()
