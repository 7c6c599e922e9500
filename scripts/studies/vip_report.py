"""Tables and the reliability diagram of the VIP study, from its results file."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vip import PAPER_BETA, PLACES, arms, benchmark_tasks, logits_file

from hf_mtl.evaluation import (
    ReliabilityBins,
    calibration_temperature,
    delta_p,
    lower_is_better,
    reliability_bins,
    task_score,
)
from hf_mtl.experiments.comparisons import Runs, contrast, contrasts, pairs
from hf_mtl.experiments.report import Report, Table, bounds, plus_minus
from hf_mtl.experiments.results import Record, Results
from hf_mtl.reporting.reliability import reliability_figure

BASELINE = "ew_linear"
CALIBRATED = ("ew_linear", "vip")


def final_runs(records: Sequence[Record], benchmark: str) -> Runs:
    """Find each arm's runs with the learning rate that won on validation, in the order of their seeds."""
    found: Runs = {}
    for arm in arms(benchmark):
        mine = [record for record in records if (record["benchmark"], record["arm"]) == (benchmark, arm)]
        trials = [record for record in mine if record["seed"] == 0]
        if trials:
            rate = max(trials, key=lambda record: record["validation_average"])["learning_rate"]
            chosen = [record for record in mine if record["learning_rate"] == rate and "test" in record]
            found[arm] = sorted(chosen, key=lambda record: record["seed"])
    return found


def average(record: Record) -> float:
    """Read a run's average over tasks on the test rows, in %."""
    return 100 * float(record["test_average"])


def scores_table(benchmark: str, runs: Runs) -> Table:
    """Show per-task scores, and how each arm compares with EW on a linear head, over seeds."""
    tasks = benchmark_tasks(benchmark)
    family = [(arm, baseline_of(arm)) for arm in runs if arm != baseline_of(arm)]
    compared = {found.left: found for found in contrasts(runs, family, average)}
    rows = []
    for arm, mine in runs.items():
        row = [arm, f"{mine[0]['learning_rate']:g}", str(len(mine))]
        row += [f"{100 * np.mean([task_score(r['test'][t], task) for r in mine]):.1f}" for t, task in tasks.items()]
        row.append(plus_minus([average(record) for record in mine]))
        if arm in compared:
            found, both = compared[arm], pairs(runs, arm, baseline_of(arm))
            gains = [delta_p(a["test"], b["test"], lower_is_better(tasks)).percent for a, b in both]
            row.append(f"{np.mean(gains):+.2f} ({', '.join(f'{gain:+.1f}' for gain in gains)})")
            row += [f"{found.p:.3f}", f"{found.holm:.3f}", f"{found.cliff:+.2f}"]
        else:
            row += ["", "", "", ""]
        rows.append(row)
    return Table(["arm", "lr", "n", *tasks, "average", "delta-p (per seed)", "p", "Holm", "Cliff"], rows)


def baseline_of(arm: str) -> str:
    """Name EW on a linear head, with as many steps."""
    return next((BASELINE + budget for budget in ("_long", "_x4") if arm.endswith(budget)), BASELINE)


# The questions of the study, each as one paired difference of test averages.
QUESTIONS = (
    ("head size: ew_mlp - ew_linear", "ew_mlp", "ew_linear"),
    ("VIP at equal size: vip - ew_mlp", "vip", "ew_mlp"),
    ("tau: vip - vip_wo_vi", "vip", "vip_wo_vi"),
    ("tau as published: vip_paper - vip_wo_vi", "vip_paper", "vip_wo_vi"),
    ("tau matched: vip_matched - vip_wo_vi", "vip_matched", "vip_wo_vi"),
    ("KL beside noise: vip_wo_vi - noise_without_kl", "vip_wo_vi", "noise_without_kl"),
    ("noise beside KL: vip_wo_vi - kl_without_noise", "vip_wo_vi", "kl_without_noise"),
    ("noise alone: noise_without_kl - ew_mlp", "noise_without_kl", "ew_mlp"),
    ("KL alone: kl_without_noise - ew_mlp", "kl_without_noise", "ew_mlp"),
    ("training together: ew_linear - stl", "ew_linear", "stl"),
    ("head size, 4 times the steps", "ew_mlp_x4", "ew_linear_x4"),
    ("VIP at equal size, 4 times the steps", "vip_x4", "ew_mlp_x4"),
)


def questions_table(runs: Runs) -> Table:
    """Show the answers to the questions."""
    rows = []
    for title, left, right in QUESTIONS:
        if found := contrast(runs, left, right, average):
            rows.append([title, f"{found.difference.mean:+.2f}", bounds(found.difference), f"{found.p:.3f}"])
    return Table(["contrast (points of test average)", "difference", "95% interval", "p"], rows)


def budget_table(runs: Runs) -> Table:
    """Show where early selection stopped looking, what tau did, and what a run took."""
    rows = []
    for arm, mine in runs.items():
        curves = [curve for record in mine for curve in record["curves"]]
        best = [max(curve, key=lambda point: point[1])[0] / curve[-1][0] for curve in curves]
        last = [max(curve, key=lambda point: point[1])[0] == curve[-1][0] for curve in curves]
        logs = [item for record in mine for log in record["heads"] for item in log]
        taus = [value for item in logs[-1:] for key, value in item.items() if key.startswith("tau/")]
        bound = [value for item in logs for key, value in item.items() if key.startswith("tau_at_bound/")]
        seconds = np.median([record["seconds"] for record in mine])
        rows.append(
            [
                arm,
                f"{np.mean(best):.2f}",
                f"{np.mean(last):.0%}",
                f"{min(taus):.2f} to {max(taus):.2f}" if taus else "",
                f"{np.mean(bound):.0%}" if bound else "",
                f"{seconds:.0f}",
            ]
        )
    header = ["arm", "best step / last", "best is last", "tau at the end", "steps at bound", "seconds"]
    return Table(header, rows)


def calibration(benchmark: str, runs: Runs, work: Path, kept: Results) -> tuple[Table, dict[str, Any]]:
    """Show ECE on the test rows before and after temperature scaling, and give the bins of the first seed."""
    tasks = {name: task for name, task in benchmark_tasks(benchmark).items() if task.can_calibrate}
    rows, panels = [], {}
    for name in tasks:
        row = [name]
        for arm in CALIBRATED:
            each = [found for record in runs.get(arm, []) if (found := calibrated(record, name, work, kept))]
            for found in each[:1]:
                drawn = {arm: bins_of(found["raw"]), f"{arm}, scaled": bins_of(found["scaled"])}
                panels.setdefault(f"{benchmark}: {name}", {}).update(drawn)
            for what in ("raw", "scaled"):
                row.append(f"{np.mean([bins_of(found[what]).error for found in each]):.3f}" if each else "")
            row.append(f"{np.mean([found['temperature'] for found in each]):.2f}" if each else "")
        rows.append(row)
    header = ["task", *(f"{arm} {what}" for arm in CALIBRATED for what in ("ECE", "scaled", "T"))]
    return Table(header, rows), panels


def calibrated(record: Record, task: str, work: Path, kept: Results) -> Record | None:
    """Return the bins of a run's test rows, raw and scaled: from the results or the logits; None without either."""
    key = {**{name: record[name] for name in ("benchmark", "arm", "learning_rate", "seed")}, "task": task}
    if found := kept.find(**key):
        return found
    file = logits_file(work, record)
    if not file.exists():
        return None
    with np.load(file) as data:
        labels = {split: data[f"labels/{split}/{task}"] for split in ("validation", "test")}
        temperature = calibration_temperature(data[f"validation/{task}"], labels["validation"])
        logits = data[f"test/{task}"]
    bins = {"raw": reliability_bins(logits, labels["test"])}
    bins["scaled"] = reliability_bins(logits / temperature, labels["test"])
    plain = {what: {name: _plain(values) for name, values in vars(found).items()} for what, found in bins.items()}
    return kept.add({**key, "temperature": temperature, **plain})


def bins_of(values: Record) -> ReliabilityBins:
    """Make bins of what the results keep of them."""
    confidence, accuracy = (np.array(values[name], dtype=np.float64) for name in ("confidence", "accuracy"))
    return ReliabilityBins(confidence, accuracy, np.array(values["count"], dtype=np.int64))


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]


def main() -> None:
    """Print every table that the results allow, draw the diagram, and write the README if that is asked for."""
    parser = ArgumentParser(description=__doc__)
    PLACES.add_options(parser)
    options = parser.parse_args()
    records = Results(options.results).all()
    kept = Results(options.results.with_name(f"{options.results.stem}_calibration.jsonl"))
    panels: dict[str, Any] = {}
    report = Report()
    for benchmark in PAPER_BETA:
        runs = final_runs(records, benchmark)
        if BASELINE not in runs:
            continue
        report.add(f"## {benchmark}")
        report.add(scores_table(benchmark, runs))
        report.add(questions_table(runs))
        report.add(budget_table(runs))
        table, found = calibration(benchmark, runs, options.work, kept)
        report.add(table)
        panels |= found
    if not panels:
        raise SystemExit(f"{options.results} has no finished runs of equal weighting yet")
    print(report.text())
    figure = options.work / "reliability.png"
    reliability_figure(figure, panels)
    print(f"\nReliability diagram: {figure}")
    if options.readme:
        report.write(options.readme, "scripts/reproduce_vip --report --readme")


if __name__ == "__main__":
    main()
