"""Tables and the reliability diagram of the VIP study, from its results file."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from study import Results
from vip import DEFAULT_RESULTS, DEFAULT_WORK, PAPER_BETA, arms, benchmark_tasks, logits_file

from hf_mtl.evaluation import (
    ReliabilityBins,
    cliffs_delta,
    delta_p,
    fit_temperature,
    holm,
    lower_is_better,
    mean_interval,
    paired_t_test,
    reliability_bins,
    task_score,
)
from hf_mtl.reporting.reliability import reliability_figure
from hf_mtl.reporting.tables import aligned

Record = dict[str, Any]
BASELINE = "ew_linear"
CALIBRATED = ("ew_linear", "vip")


def final_runs(records: Sequence[Record], benchmark: str) -> dict[str, list[Record]]:
    """Each arm's runs with the learning rate that won on validation, in the order of their seeds."""
    found: dict[str, list[Record]] = {}
    for arm in arms(benchmark):
        mine = [record for record in records if (record["benchmark"], record["arm"]) == (benchmark, arm)]
        trials = [record for record in mine if record["seed"] == 0]
        if trials:
            rate = max(trials, key=lambda record: record["validation_average"])["learning_rate"]
            chosen = [record for record in mine if record["learning_rate"] == rate and "test" in record]
            found[arm] = sorted(chosen, key=lambda record: record["seed"])
    return found


def scores_table(benchmark: str, runs: dict[str, list[Record]]) -> str:
    """Per-task scores, and how each arm compares with EW on a linear head, over seeds."""
    tasks = benchmark_tasks(benchmark)
    rows, tests = [], {}
    for arm, mine in runs.items():
        base = runs.get(baseline_of(arm), [])
        averages = [100 * record["test_average"] for record in mine]
        per_task = [
            f"{100 * np.mean([task_score(r['test'][t], task) for r in mine]):.1f}" for t, task in tasks.items()
        ]
        row = [arm, f"{mine[0]['learning_rate']:g}", str(len(mine)), *per_task]
        row.append(plus_minus(averages))
        pairs = [(a, b) for a in mine for b in base if a["seed"] == b["seed"]]
        if arm != baseline_of(arm) and len(pairs) > 1:
            gains = [delta_p(a["test"], b["test"], lower_is_better(tasks)).percent for a, b in pairs]
            ours, theirs = ([100 * pair[side]["test_average"] for pair in pairs] for side in (0, 1))
            tests[arm] = paired_t_test(ours, theirs).p
            row += [f"{np.mean(gains):+.2f} ({', '.join(f'{gain:+.1f}' for gain in gains)})"]
            row += [f"{tests[arm]:.3f}", arm, f"{cliffs_delta(ours, theirs):+.2f}"]
        else:
            row += ["", "", "", ""]
        rows.append(row)
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True)) if tests else {}
    for row in rows:
        row[-2] = f"{adjusted[row[-2]]:.3f}" if row[-2] in adjusted else ""
    header = ["arm", "lr", "n", *tasks, "average", "delta-p (per seed)", "p", "Holm", "Cliff"]
    return aligned([header, *rows], left=1)


def plus_minus(values: Sequence[float]) -> str:
    """Mean and half of its 95% interval; the value alone where there is one."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    interval = mean_interval(values)
    return f"{interval.mean:.2f} ± {interval.high - interval.mean:.2f}"


def baseline_of(arm: str) -> str:
    """EW on a linear head, with as many steps."""
    return next((BASELINE + budget for budget in ("_long", "_x4") if arm.endswith(budget)), BASELINE)


def contrasts_table(runs: dict[str, list[Record]]) -> str:
    """The questions of the study, each as one paired difference of test averages."""
    questions = [
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
    ]
    rows = []
    for title, left, right in questions:
        pairs = [(a, b) for a in runs.get(left, []) for b in runs.get(right, []) if a["seed"] == b["seed"]]
        if len(pairs) > 1:
            ours, theirs = ([100 * pair[side]["test_average"] for pair in pairs] for side in (0, 1))
            interval = mean_interval([a - b for a, b in zip(ours, theirs, strict=True)])
            test = paired_t_test(ours, theirs)
            rows.append(
                [title, f"{interval.mean:+.2f}", f"[{interval.low:+.2f}, {interval.high:+.2f}]", f"{test.p:.3f}"]
            )
    return aligned([["contrast (points of test average)", "difference", "95% interval", "p"], *rows], left=1)


def budget_table(runs: dict[str, list[Record]]) -> str:
    """Where early selection stopped looking, what tau did, and what a run took."""
    rows = []
    for arm, mine in runs.items():
        curves = [curve for record in mine for curve in record["curves"]]
        best = [max(curve, key=lambda point: point[1])[0] / curve[-1][0] for curve in curves]
        last = [max(curve, key=lambda point: point[1])[0] == curve[-1][0] for curve in curves]
        logs = [item for record in mine for log in record["heads"] for item in log]
        taus = [value for item in logs[-1:] for key, value in item.items() if key.startswith("tau/")]
        bound = [value for item in logs for key, value in item.items() if key.startswith("tau_at_bound/")]
        rows.append(
            [
                arm,
                f"{np.mean(best):.2f}",
                f"{np.mean(last):.0%}",
                f"{min(taus):.2f} to {max(taus):.2f}" if taus else "",
                f"{np.mean(bound):.0%}" if bound else "",
                f"{np.median([record['seconds'] for record in mine]):.0f}",
            ]
        )
    header = ["arm", "best step / last", "best is last", "tau at the end", "steps at bound", "seconds"]
    return aligned([header, *rows], left=1)


def calibration(
    benchmark: str, runs: dict[str, list[Record]], work: Path, kept: Results
) -> tuple[str, dict[str, Any]]:
    """ECE of EW and VIP on the test rows before and after temperature scaling, and the bins of the first seed."""
    tasks = {name: task for name, task in benchmark_tasks(benchmark).items() if task.has_temperature}
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
    return aligned([header, *rows], left=1), panels


def calibrated(record: Record, task: str, work: Path, kept: Results) -> Record | None:
    """Bins of a run's test rows, raw and scaled: those kept with the results, or from its logits; None without."""
    key = {**{name: record[name] for name in ("benchmark", "arm", "learning_rate", "seed")}, "task": task}
    if found := kept.find(**key):
        return found
    file = logits_file(work, record)
    if not file.exists():
        return None
    with np.load(file) as data:
        labels = {split: data[f"labels/{split}/{task}"] for split in ("validation", "test")}
        temperature = fit_temperature(data[f"validation/{task}"], labels["validation"])
        logits = data[f"test/{task}"]
    bins = {"raw": reliability_bins(logits, labels["test"])}
    bins["scaled"] = reliability_bins(logits / temperature, labels["test"])
    plain = {what: {name: _plain(values) for name, values in vars(found).items()} for what, found in bins.items()}
    return kept.add({**key, "temperature": temperature, **plain})


def bins_of(values: Record) -> ReliabilityBins:
    """Bins from what the results keep of them."""
    confidence, accuracy = (np.array(values[name], dtype=np.float64) for name in ("confidence", "accuracy"))
    return ReliabilityBins(confidence, accuracy, np.array(values["count"], dtype=np.int64))


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]


def main() -> None:
    """Print every table that the results allow, and draw the reliability diagram."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK)
    parser.add_argument("--results", type=Path, default=DEFAULT_RESULTS)
    options = parser.parse_args()
    from hf_mtl.reporting.json_files import read_jsonl

    records = read_jsonl(options.results)
    kept = Results(options.results.with_name(f"{options.results.stem}_calibration.jsonl"))
    panels: dict[str, Any] = {}
    for benchmark in PAPER_BETA:
        runs = final_runs(records, benchmark)
        if BASELINE not in runs:
            continue
        print(
            f"\n## {benchmark}\n\n{scores_table(benchmark, runs)}\n\n{contrasts_table(runs)}\n\n{budget_table(runs)}"
        )
        table, found = calibration(benchmark, runs, options.work, kept)
        print(f"\n{table}")
        panels |= found
    if panels:
        options.work.mkdir(parents=True, exist_ok=True)
        figure = options.work / "reliability.png"
        reliability_figure(figure, panels)
        print(f"\nReliability diagram: {figure}")


if __name__ == "__main__":
    main()
