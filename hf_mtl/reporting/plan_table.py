"""A plan as plain-text tables."""

import math
import textwrap
from collections.abc import Sequence

from hf_mtl.data.draws import Draw
from hf_mtl.reporting.census_tables import census_text
from hf_mtl.reporting.overlap_table import overlap_text
from hf_mtl.reporting.plan import PlanSummary, StreamPlan
from hf_mtl.reporting.tables import aligned
from hf_mtl.shown import visible

_TEXT_WIDTH = 80 - len("parameters  ")


def plan_table(plan: PlanSummary) -> str:
    """Return what each task takes part with, what is in its data, and what the run will cost."""
    header = ["task", "rows", "share", "rows/step", "passes", "truncated", "tokens/row", "unknown"]
    rows = [
        [
            task.name,
            f"{task.rows:,}",
            f"{task.share:.1%}",
            f"{task.rows_per_step:.2f}",
            f"{task.passes:.2f}",
            f"{task.truncated_rows:,}",
            f"{task.mean_tokens:.1f}",
            f"{task.unknown_share:.1%}",
        ]
        for task in plan.tasks
    ]
    trainable = plan.trainable_parameters / max(plan.total_parameters, 1)
    padding = plan.padded_tokens / max(plan.real_tokens, 1) - 1
    together = {name: stream for stream in plan.streams for name in stream.tasks}
    mean = sum(task.rows_per_step for task in plan.tasks if task.name not in together)
    mean += sum(stream.rows_per_step for stream in plan.streams)
    shrunk = "" if math.isclose(mean, plan.rows_per_step, rel_tol=1e-6) else f", {mean:.1f} on average"
    fewest, most = plan.micro_batches
    parts_of = str(most) if fewest == most else f"{fewest} to {most}"
    in_parts = "" if most == 1 else f", in {parts_of} micro-batches on each process"
    totals = [
        ["steps", f"{plan.steps:,} of {plan.rows_per_step:,} rows{shrunk}{in_parts}"],
        ["epochs", f"{plan.epochs:g}"],
        ["parameters", f"{plan.trainable_parameters:,} trainable of {plan.total_parameters:,} ({trainable:.1%})"],
        [
            "tokens",
            f"{plan.padded_tokens:,} computed for {plan.real_tokens:,} ({padding:.1%} padding), in the first window",
        ],
        ["encoder", plan.encoder_layout],
        *(["texts", f"{task.name}: {task.cut}"] for task in plan.tasks if task.cut),
        *(["head", line] for line in plan.heads),
        *(["stream", _stream_text(stream)] for stream in plan.streams),
        *(["rows", _drawn(name, draws)] for name, draws in plan.draws.items()),
        *([] if plan.imbalance is None else [["imbalance", plan.imbalance.sentence()]]),
        *(["schedule", line] for line in plan.schedules),
        *([["mixture", plan.looks]] if plan.looks else []),
        *([["kept", plan.kept]] if plan.kept else []),
    ]
    lines = [cells for key, text in totals for cells in _cells(key, text)]
    tables = [aligned([header, *rows], left=1), census_text(plan.data), overlap_text(plan.overlaps)]
    return "\n\n".join(part for part in [*tables, aligned(lines, left=2, rule=False)] if part)


def _stream_text(stream: StreamPlan) -> str:
    """Say which tasks share rows, and what that saves or costs."""
    tasks = f"{', '.join(stream.tasks[:-1])} and {stream.tasks[-1]}"
    rows = f"{tasks} share {stream.rows:,} rows, drawn {stream.rows_per_step:.2f} a step as '{stream.name}'"
    if stream.encoded_apart:
        return f"{rows}; gradients of single tasks encode each row once for every task, forwards and backwards"
    return f"{rows} and encoded once"


def _drawn(name: str, draws: Sequence[Draw]) -> str:
    """Say how many training rows of a task each key has left."""
    first, *others = draws
    later = "".join(f", then {draw.used:,} ({draw.by})" for draw in others)
    return f"{name}: {first.used:,} of {first.found:,} ({first.by}){later}"


def _cells(key: str, text: str) -> list[list[str]]:
    """Return a key and its text as lines of a table, which are not wider than a terminal."""
    lines = textwrap.wrap(visible(text), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return [[key if index == 0 else "", line] for index, line in enumerate(lines or [""])]
