"""Tables and figure of the few-task study, from its results file."""

from functools import partial
from pathlib import Path

import numpy as np
from few_task import ARMS, RATIO, STUDY, drawn_line

from hf_mtl.experiments.comparisons import Runs, contrasts
from hf_mtl.experiments.report import Report, Table, contrasts_table, plus_minus
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import mean_interval
from hf_mtl.reporting.style import label_panel, new_figure, save, task_styles

# Every method beside JOINT, and the paper's primary method beside what it is made of.
CONTRASTS = [
    *((arm, "joint") for arm in ARMS if arm != "joint"),
    ("alt_temp_uw", "alt"),
    ("alt_temp_uw", "alt_temp"),
    ("learned_dro", "alt_temp"),
    ("learned_literal", "alt_temp"),
]
SUMMARIES = ("macro", "worst")


def percent(name: str, record: Record) -> float:
    """Read a summary of a run's test scores, in %."""
    return 100 * float(record[name])


def scores_table(runs: Runs) -> Table:
    """Show macro and worst task with their 95% intervals, and the tasks' own scores."""
    rows = []
    for arm, mine in runs.items():
        row = [arm, str(len(mine)), *(plus_minus([percent(name, r) for r in mine]) for name in SUMMARIES)]
        for task in RATIO:
            # The first metric of a task is its score; the loss stands behind it.
            values = [next(value for key, value in record["test"][task].items() if key != "loss") for record in mine]
            row.append(f"{100 * np.mean(values):.1f}")
        rows.append(row)
    return Table(["arm", "n", *SUMMARIES, *RATIO], rows)


def budget_table(runs: Runs) -> Table:
    """Show what a run of each arm spent, and where the draws and temperatures ended."""
    rows = []
    for arm, mine in runs.items():
        logs = [record["log"][-1] for record in mine]
        taus = [
            np.mean([log[f"temperature/{task}"] for log in logs])
            for task in RATIO
            if f"temperature/{task}" in logs[0]
        ]
        shares = [np.mean([log[f"share/{task}"] for log in logs]) for task in RATIO]
        budget = [record["budget"] for record in mine]
        flops = np.mean([spent["flops"] for spent in budget])
        seconds = np.mean([record["points"][-1]["seconds"] for record in mine])
        selected = np.mean([record["best"]["step"] for record in mine])
        rows.append(
            [
                arm,
                f"{budget[0]['backward_passes']}",
                f"{budget[0]['encoder_backward_passes']}",
                f"{flops / 1e12:.3g}",
                f"{seconds:.0f}",
                f"{selected:.0f}",
                " ".join(f"{share:.2f}" for share in shares),
                " ".join(f"{tau:.2f}" for tau in taus),
            ]
        )
    header = ["arm", "backwards", "of encoder", "TFLOP", "seconds", "selected at", "last shares", "last tau"]
    return Table(header, rows)


def figure(path: Path, runs: Runs) -> None:
    """Draw macro and worst task of every arm with their intervals, and the learned temperatures over time."""
    learned = [arm for arm in runs if any("temperature/" in key for key in runs[arm][0]["log"][-1])]
    drawing, (top, *rest) = new_figure(1 + len(learned), 4, by_step=False)
    for offset, (name, colour) in enumerate(zip(SUMMARIES, ("#0072B2", "#D55E00"), strict=True)):
        for place, mine in enumerate(runs.values()):
            values = [percent(name, record) for record in mine]
            x = place + 0.2 * offset - 0.1
            top.plot([x] * len(values), values, "o", color=colour, alpha=0.35, markersize=4)
            half = mean_interval(values).high - np.mean(values) if len(values) > 1 else 0.0
            label = f"{name}, mean and 95%" if place == 0 else None
            top.errorbar(x, np.mean(values), half, fmt="D", color=colour, capsize=4, markersize=6, label=label)
    top.set_xticks(range(len(runs)), list(runs))
    label_panel(top, "Test scores of every seed, by method", "%")
    styles = task_styles(list(RATIO))
    for panel, arm in zip(rest, learned, strict=True):
        logs = [record["log"] for record in runs[arm]]
        for task in RATIO:
            steps = [item["step"] for item in logs[0]]
            values = np.mean([[item[f"temperature/{task}"] for item in log] for log in logs], axis=0)
            panel.plot(steps, values, label=task, color=styles[task].colour, linestyle=styles[task].line, marker="o")
        panel.set_xlabel("optimizer step")
        label_panel(panel, f"Temperature of each task, {arm}: a lower one draws the task more", "temperature")
    save(drawing, path)


def main() -> None:
    """Print every table that the results allow, draw the figure, and write the README if that is asked for."""
    options = STUDY.parser(__doc__).parse_args()
    runs = STUDY.runs(options, list(ARMS))
    if not runs:
        raise SystemExit(f"{options.results}: no run with these steps and rows")
    report = Report()
    report.add("Test scores, %: mean over seeds with its 95% interval")
    report.add(scores_table(runs))
    for name in SUMMARIES:
        report.add(contrasts_table(contrasts(runs, CONTRASTS, partial(percent, name)), f"points of {name}"))
    report.add(budget_table(runs))
    report.add(
        "Operations count the frozen layers' forward; seconds leave it out (it is remembered), and evaluations too."
    )
    print(report.text())
    print("\nRealised draws against the mixture:")
    print("\n".join(drawn_line(record) for mine in runs.values() for record in mine))
    path = options.work / "few_task.png"
    figure(path, runs)
    print(f"\nFigure: {path}")
    if options.readme:
        report.write(options.readme, "scripts/reproduce_few_task --report --readme")


if __name__ == "__main__":
    main()
