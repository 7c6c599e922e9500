"""A diagnosis in words and tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hf_mtl.reporting.tables import aligned

_MOST_PAIRS = 10


def diagnosis_text(found: Mapping[str, Any]) -> str:
    """Say what was found, in a page of plain text.

    Args:
        found: As from `hf_mtl.experiments.diagnose.diagnose_runs`.
    """
    rows = ", ".join(f"{count:,} of {task}" for task, count in found["rows"].items())
    parts = [
        f"{found['split']} rows: {rows}\n\n{_runs(found['runs'])}",
        _layers(found["cka"]),
        _pairs(found["cka"]),
        _heads(found["heads"]),
        _subspaces(found["subspaces"]),
        _probes(found["probes"]),
        _clusters(found["clusters"], found["task_silhouettes"]),
        _early(found["early"]),
        "\n".join(found["notes"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    table = [["run", "tasks", "layers", "width", "pooling"]]
    for run in runs:
        table.append(
            [run["name"], ", ".join(run["tasks"]), *(str(run[k]) for k in ("layers", "hidden_size", "pooling"))]
        )
    return aligned(table, left=2)


def _layers(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Say between which layers of a run features change most."""
    lines = []
    for pair in pairs:
        if pair["a"] == pair["b"]:
            steps = np.diagonal(np.asarray(pair["debiased"]), offset=1)
            if np.isfinite(steps).any():
                place = int(np.nanargmin(steps))
                whole = _number(pair["debiased"][0][-1])
                lines.append(
                    f"{pair['a']}: features change most from layer {place} to {place + 1} (debiased CKA "
                    f"{steps[place]:.3f}; of the first and the last layer {whole})."
                )
    return "\n".join(["Layers of a run, on the rows of all tasks", *lines]) if lines else ""


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Compare the last layers of different runs, on the rows of all tasks and on each task's."""
    others = [pair for pair in pairs if pair["a"] != pair["b"]]
    if not others:
        return ""
    tasks = list(dict.fromkeys(task for pair in others for task in pair.get("by_task", {})))
    table = [["run", "run", "CKA", "debiased", *tasks]]
    for pair in others:
        by_task = pair.get("by_task", {})
        own = [_number(by_task[task][-1]) if task in by_task else "" for task in tasks]
        table.append([pair["a"], pair["b"], _number(pair["linear"][-1][-1]), _number(pair["debiased"][-1][-1]), *own])
    return f"Last layers of two runs on the same rows; by task: debiased\n\n{aligned(table, left=2)}"


def _heads(runs: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for run in runs:
        values, tasks = np.asarray(run["debiased"]), run["tasks"]
        pairs = [(values[i, j], tasks[i], tasks[j]) for j in range(len(tasks)) for i in range(j)]
        known = sorted(pair for pair in pairs if math.isfinite(pair[0]))
        if known:
            lines.append(f"{run['run']}: {_most_and_least(known)}.")
    return "\n".join(["What the tasks' heads make of the same rows", *lines]) if lines else ""


def _most_and_least(pairs: Sequence[tuple[float, str, str]]) -> str:
    """Say which of some pairs of tasks are most alike and which least; the pairs are in the order of their CKA."""
    (low, *least), (high, *most) = pairs[0], pairs[-1]
    if len(pairs) == 1:
        return f"{' and '.join(most)} have a debiased CKA of {high:.3f}"
    alike = f"{' and '.join(most)} are most alike (debiased CKA {high:.3f})"
    return f"{alike}, {' and '.join(least)} least ({low:.3f})"


def _subspaces(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Give the alignment of each pair at the last layer, the most aligned first."""
    last = sorted(pairs, key=lambda pair: -_or(pair["layers"][-1]["mean_squared_cosine"], -1))
    table = [["of", "and", "mean squared cosine", "by chance", "covariances"]]
    for pair in last[:_MOST_PAIRS]:
        layer = pair["layers"][-1]
        names = [f"{task} in {run}" for run, task in (pair["a"], pair["b"])]
        table.append(
            [*names, *(_number(layer[key]) for key in ("mean_squared_cosine", "chance", "covariance_cosine"))]
        )
    if len(table) == 1:
        return ""
    more = f"\n({len(last) - _MOST_PAIRS} more pairs are in diagnosis.json.)" if len(last) > _MOST_PAIRS else ""
    if any(pair["a"][0] != pair["b"][0] for pair in pairs):
        more += "\nThose of two runs say something where both began with the same weights: else they are at chance."
    return f"Main directions in common at the last layer\n\n{aligned(table, left=2)}{more}"


def _probes(probes: Sequence[Mapping[str, Any]]) -> str:
    header = ["task", "run", "metric", "rows", "scored", "chance", "embeddings", "best layer", "score there"]
    table = [[*header, "last layer", "own head"]]
    for probe in probes:
        scores = [_or(score, -math.inf) for score in probe["layers"]]
        best = int(np.argmax(scores))
        table.append(
            [
                probe["task"],
                probe["run"],
                probe["metric"],
                *(f"{probe[key]:,}" for key in ("train_rows", "rows")),
                _number(probe["chance"]),
                _number(scores[0]),
                str(best),
                _number(scores[best]),
                _number(scores[-1]),
                "" if probe["model"] is None else _number(probe["model"]),
            ]
        )
    return f"Linear probes of each layer\n\n{aligned(table, left=3)}" if probes else ""


def _clusters(clusters: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> str:
    table = [["task", "run", "silhouette", "ARI", "head's silhouette", "head's ARI"]]
    for item in clusters:
        head = item["head"] or {}
        table.append(
            [
                item["task"],
                item["run"],
                _number(item["silhouette"][-1]),
                _number(item["ari"][-1]),
                *(_number(head[key]) if key in head else "" for key in ("silhouette", "ari")),
            ]
        )
    lines = [f"{item['run']}: rows by task have a silhouette of {_number(item['silhouette'][-1])}." for item in tasks]
    parts = [aligned(table, left=2)] if clusters else []
    parts += ["\n".join(lines)] if lines else []
    return "\n\n".join(["Classes of each task at the last layer", *parts]) if parts else ""


def _early(early: Mapping[str, Any]) -> str:
    """Say how early signals go with final scores, or why that cannot be said."""
    if not early["runs"]:
        return "Early signals: no log holds two evaluations."
    share, of = f"{early['share']:.0%}", {"tasks": "tasks of runs", "together": "runs"}
    lines = [line for key, words in of.items() for line in _correlations(early[key], words)]
    if any(map(_is_said, early["tasks"].values())):
        lines.append("Over tasks that is mostly which tasks are easy; which run ends better, 5 runs or more can say.")
    for run, log in early["runs"].items():
        first = min((signals["step"] for signals in log["tasks"].values()), default=0)
        if first > early["share"] * log["steps"]:
            after = f"{first / log['steps']:.0%} of the steps"
            lines.append(f"{run}: the first evaluation came after {after}: it has no early scores.")
    known = any(_is_said(item) for key in of for item in early[key].values())
    title = f"What the first {share} of the steps say about the final scores"
    return "\n".join(
        [title if known else f"Early signals, of the first {share} of the steps: nothing is said", *lines]
    )


def _is_said(item: Mapping[str, Any]) -> bool:
    return math.isfinite(_or(item["spearman"], math.nan))


def _correlations(found: Mapping[str, Mapping[str, Any]], of: str) -> Iterator[str]:
    words = {
        "score": "the score of early evaluations",
        "loss": "the training loss",
        "fall": "the share of the training loss that is gone",
    }
    for key, item in found.items():
        name = words.get(key, f"the {key} score of early evaluations")
        if _is_said(item):
            said = f"rank correlation {item['spearman']:.2f}, of values {item['pearson']:.2f}"
            yield f"{name}: {said}, {item['n']} {of}."
        elif item["n"]:  # else a line below says why
            yield f"{name}: not said, as {of} with both are {item['n']}; it takes 5 that differ."


def _or(value: float | None, other: float) -> float:
    return other if value is None or math.isnan(value) else float(value)


def _number(value: float | None) -> str:
    found = _or(value, math.nan)
    return f"{found:z.3f}" if math.isfinite(found) else "undefined"
