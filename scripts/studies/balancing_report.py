"""Table of the balancing study, from its results file; the averages of two runs differ by chance too."""

from collections.abc import Mapping, Sequence

import numpy as np
from balancing import BASELINE, RECIPE, STUDY, arms

from hf_mtl.evaluation import task_score
from hf_mtl.experiments.comparisons import Runs
from hf_mtl.experiments.report import Report, Table, plus_minus
from hf_mtl.experiments.results import Record
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import Task


def scores_table(runs: Runs, tasks: Mapping[str, Task]) -> Table:
    """Show test scores of every arm in percent, its average beside equal weighting's on its seeds, and its time."""
    equal = {record["seed"]: record for record in runs[BASELINE]}
    base = np.mean([seconds(record) for record in runs[BASELINE]])
    rows = []
    for arm, mine in sorted(runs.items(), key=lambda item: -beside(item[1], equal).mean()):
        each = [
            f"{100 * np.mean([task_score(r['test'][name], task) for r in mine]):.1f}" for name, task in tasks.items()
        ]
        average = f"{100 * np.mean([record['average'] for record in mine]):.1f}"
        differences = "" if arm == BASELINE else ", ".join(f"{value:+.1f}" for value in beside(mine, equal))
        conflicts = [item["conflict_rate"] for record in mine for item in record["log"] if "conflict_rate" in item]
        rate = f"{100 * np.mean(conflicts):.0f}%" if conflicts else ""
        time = f"{np.mean([seconds(record) for record in mine]) / base:.2f}"
        rows.append([arm, str(len(mine)), *each, average, differences, rate, time])
    return Table(["method", "n", *tasks, "average", "beside ew, each seed", "conflicts", "time"], rows)


def beside(records: Sequence[Record], equal: Mapping[int, Record]) -> np.ndarray:
    """Count the points of the average above equal weighting with the same seed, of every run."""
    return np.array([100 * (record["average"] - equal[record["seed"]]["average"]) for record in records])


def chance(records: Sequence[Record]) -> str:
    """Say what another seed alone does to equal weighting."""
    averages = [100 * record["average"] for record in records]
    spread = np.std(averages, ddof=1)
    return f"Equal weighting over {len(averages)} seeds: {plus_minus(averages)}, standard deviation {spread:.2f}."


def agreement(records: Sequence[Record]) -> str:
    """Average the cosine of each pair of tasks, over the records of some runs."""
    found: dict[str, list[float]] = {}
    for record in records:
        for item in record["log"]:
            for key, value in item.items():
                if key.startswith("gradient_cosine/"):
                    found.setdefault(key.removeprefix("gradient_cosine/"), []).append(value)
    return "Mean cosines: " + ", ".join(f"{pair} {np.mean(values):+.3f}" for pair, values in found.items())


def seconds(record: Record) -> float:
    """Add up the seconds of the optimizer steps of a run."""
    return float(sum(points[-1]["seconds"] for points in record["points"]))


def main() -> None:
    """Print the table, and write it into the study's README if that is asked for."""
    options = STUDY.parser(__doc__).parse_args()
    runs = STUDY.runs(options, list(arms()))
    if BASELINE not in runs:
        raise SystemExit(f"{options.results} has no runs of equal weighting with this budget yet")
    report = Report()
    report.add(chance(runs[BASELINE]), gap=0)
    report.add(agreement(runs["sum"]) if "sum" in runs else "", gap=0)
    report.add(scores_table(runs, dict(load_recipe(RECIPE).tasks)), gap=0)
    print(report.text())
    if options.readme:
        report.write(options.readme, "scripts/reproduce_balancing --report --readme")


if __name__ == "__main__":
    main()
