"""Table of the balancing study, from its results file."""

from collections.abc import Mapping

import numpy as np
from balancing import BASELINE, arms, chosen, parser
from comparisons import Record, Runs, plus_minus, runs_by_arm
from study import ROOT

from hf_mtl.evaluation import task_score
from hf_mtl.recipe import load_recipe
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.reporting.tables import aligned
from hf_mtl.tasks import Task


def scores_table(runs: Runs, tasks: Mapping[str, Task]) -> str:
    """Test scores of every arm, best average first, and what a step took."""
    rows = []
    base = np.mean([seconds(record) for record in runs[BASELINE]])
    ranked = sorted(runs.items(), key=lambda item: -np.mean([record["average"] for record in item[1]]))
    for arm, mine in ranked:
        each = [
            f"{100 * np.mean([task_score(r['test'][name], task) for r in mine]):.1f}" for name, task in tasks.items()
        ]
        average = plus_minus([100 * record["average"] for record in mine])
        conflicts = [item["conflict_rate"] for record in mine for item in record["log"] if "conflict_rate" in item]
        rate = f"{100 * np.mean(conflicts):.0f}%" if conflicts else ""
        time = f"{np.mean([seconds(record) for record in mine]) / base:.2f}"
        rows.append([arm, str(len(mine)), *each, average, rate, time])
    return aligned([["method", "n", *tasks, "average", "conflicts", "time"], *rows], left=1)


def seconds(record: Record) -> float:
    """Seconds of the optimizer steps of a run."""
    return float(sum(points[-1]["seconds"] for points in record["points"]))


def main() -> None:
    """Print the table."""
    options = parser(__doc__).parse_args()
    settings = chosen(options)
    runs = runs_by_arm(read_jsonl(options.results), list(arms()), settings.steps, settings.rows)
    if BASELINE not in runs:
        raise SystemExit(f"{options.results} has no runs of equal weighting with this budget yet")
    print(scores_table(runs, dict(load_recipe(ROOT / "recipes" / "affecteval" / "local-base.yaml").tasks)))


if __name__ == "__main__":
    main()
