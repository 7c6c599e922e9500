"""Tables and figure of the MT2ST study, from its results file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mt2st import ARMS, MAIN, STUDY

from hf_mtl.experiments.comparisons import Runs, contrast, contrasts, pairs
from hf_mtl.experiments.report import Report, Table, bounds, contrasts_table, plus_minus
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.watchers import Point
from hf_mtl.reporting.style import label_panel, new_figure, save, task_styles


def accuracy(record: Record) -> float:
    """Read the test accuracy of the primary task at the selected evaluation, in %."""
    return 100 * float(record["test"][MAIN])


def scores_table(runs: Runs) -> Table:
    """Show the accuracy of every task on the test rows, and what a whole run cost."""
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
    return Table(header, rows)


def reached(record: Record, score: float) -> Point | None:
    """Find the first evaluation with at least this score; None: never."""
    return next((point for point in record["points"] if point["score"] >= score), None)


def common_scores(runs: Runs) -> dict[int, float]:
    """Find the highest validation score that all arms of a seed reach, by seed."""
    best: dict[int, list[float]] = {}
    for mine in runs.values():
        for record in mine:
            best.setdefault(record["seed"], []).append(record["best"]["score"])
    return {seed: min(values) for seed, values in best.items()}


def saved(method: Sequence[Point | None], baseline: Sequence[Point | None], what: str) -> str:
    """Show compression 1 - method / baseline in %: mean over the seeds in which both got there, and their number."""
    both = [(a[what], b[what]) for a, b in zip(method, baseline, strict=True) if a is not None and b is not None]
    if not both:
        return f"never (0/{len(method)})"
    mean = float(np.mean([100 * (1 - a / b) for a, b in both]))
    return f"{mean:+.0f}" + ("" if len(both) == len(method) else f" ({len(both)}/{len(method)})")


def compression_table(runs: Runs) -> Table:
    """Show what each arm saves beside single-task learning, at equal steps and at equal score."""
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
    return Table(header, rows)


def claims(runs: Runs) -> list[str]:
    """Say the paper's numbers beside ours."""
    lines = ["Paper (BERT-base, MNLI): Switch +1.9 points and 47.6% fewer operations than STL; Diminish +1.1, 37.1%."]
    for arm in ("switch", "diminish", "diminish_sampling"):
        found = contrast(runs, arm, "stl", accuracy)
        if found is None:
            continue
        both = pairs(runs, arm, "stl")
        ends = [[record["points"][-1] for record in side] for side in zip(*both, strict=True)]
        as_good = [reached(a, b["best"]["score"]) for a, b in both], [b["best"] for _, b in both]
        lines.append(
            f"Here, {arm}: {found.difference.mean:+.2f} points {bounds(found.difference)}; operations saved, in %: "
            f"{saved(*ends, 'flops')} at equal steps, {saved(*as_good, 'flops')} to STL's best score."
        )
    return lines


def figure(path: Path, runs: Runs) -> None:
    """Draw validation accuracy of the primary task against operations and against time, mean over seeds."""
    drawing, panels = new_figure(2, len(runs) + 1, by_step=False)
    styles = task_styles(list(ARMS))
    axes = (("flops", 1e12, "executed floating point operations, 1e12"), ("seconds", 1.0, "seconds of training"))
    for panel, (what, scale, label) in zip(panels, axes, strict=True):
        for arm, mine in runs.items():
            count = min(len(record["points"]) for record in mine)
            common = [record["points"][:count] for record in mine]
            spent = np.mean([[point[what] for point in points] for points in common], axis=0)
            scores = np.mean([[point["score"] for point in points] for points in common], axis=0)
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
    """Print every table that the results allow, draw the figure, and write the README if that is asked for."""
    options = STUDY.parser(__doc__).parse_args()
    runs = STUDY.runs(options, list(ARMS))
    if "stl" not in runs:
        raise SystemExit(f"{options.results}: no run of single-task learning with these steps and rows")
    others = [(arm, "stl") for arm in runs if arm != "stl"]
    more = [(arm, "mtl") for arm in runs if arm not in ("stl", "stl_long", "mtl")] + [("switch", "stl_long")]
    report = Report()
    report.add(scores_table(runs))
    report.add(
        "Operations count the frozen layers' forward; seconds leave it out (it is remembered), and evaluations too."
    )
    report.add(contrasts_table(contrasts(runs, others + more, accuracy), "points of test accuracy"))
    report.add("Compression beside STL, % of operations (s: of seconds); negative: it costs more")
    report.add(compression_table(runs))
    report.add(claims(runs))
    print(report.text())
    path = options.work / "mt2st.png"
    figure(path, runs)
    print(f"\nFigure: {path}")
    if options.readme:
        report.write(options.readme, "scripts/reproduce_mt2st --report --readme")


if __name__ == "__main__":
    main()
