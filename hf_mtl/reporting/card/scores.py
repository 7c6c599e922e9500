"""The parts of a card on tasks, scores and data."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.evaluation import greater_is_better, score_keys
from hf_mtl.reporting.card.facts import CardFacts
from hf_mtl.reporting.card.text import bullets, code, escaped, heading, listed
from hf_mtl.reporting.markdown import table
from hf_mtl.reporting.tables import SUMMARIES
from hf_mtl.tasks import Task

_SPLITS = ("train", "validation", "test")
_NAMES = {
    "majority": "majority class or mean",
    "tfidf": "TF-IDF with a linear model",
    "llm": "a language model, zero-shot",
}


def tasks_section(facts: CardFacts) -> Iterator[str]:
    """Yield the table of tasks: labels, rows per split, where they come from."""
    yield heading(2, "Tasks")
    splits = [split for split in _SPLITS if any(split in rows for rows in facts.rows.values())]
    body = [
        [
            code(name),
            task.type.replace("_", " "),
            _outputs(task),
            *(f"{facts.rows[name][split]:,}" if split in facts.rows.get(name, {}) else "" for split in splits),
            ", ".join(code(source.words) for source in facts.sources.get(name, ())) or "rows given in Python",
        ]
        for name, task in facts.tasks.items()
    ]
    yield table([["task", "type", "labels", *(f"{split} rows" for split in splits), "data"], *body])


def _outputs(task: Task) -> str:
    if task.label_names:
        return listed(task.label_names)
    return listed(task.output_names) if task.real_valued else f"({task.outputs_are})"


def scores_section(facts: CardFacts) -> Iterator[str]:
    """Yield a table of scores for each split, beside baselines and runs of one task alone."""
    if not facts.scored:
        return
    yield heading(2, "Scores")
    for split, results in facts.scored:
        yield f"On the {split} rows:"
        yield table(list(_score_rows(facts, split, results)))
        notes = [*results.get("notes", ())]
        notes += [
            f"{_NAMES.get(name, name)}: {note}"
            for name, found in (results.get("baselines") or {}).items()
            for note in found.get("notes", ())
        ]
        if notes:
            yield bullets(map(escaped, notes))
    used = [words for name, words in SUMMARIES.items() if any(name in results for _, results in facts.scored)]
    if used:
        yield f"({'; '.join(used)}.)"


def _score_rows(facts: CardFacts, split: str, results: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the header, a row for each metric of each task, and the means."""
    baselines = results.get("baselines") or {}
    single = facts.single.get(split, {})
    yield [
        "task",
        "metric",
        "score",
        *(["this task alone"] if single else []),
        *(_NAMES.get(n, n) for n in baselines),
    ]
    for name, task in facts.tasks.items():
        scores = results["tasks"].get(name)
        if scores is None:
            continue
        specs = dict(score_keys(task))
        for key in scores:
            if key == "loss":
                continue
            spec = specs.get(key)
            lower = spec is not None and not greater_is_better(spec)
            others = [single.get(name, {})] if single else []
            others += [found.get("tasks", {}).get(name, {}) for found in baselines.values()]
            metric = f"{code(key)}{' (less is better)' if lower else ''}"
            yield [code(name), metric, f"**{_number(scores, key)}**", *(_number(other, key) for other in others)]
    for key in SUMMARIES:
        if key in results:
            columns = [*([{}] if single else []), *baselines.values()]
            yield [key, "", f"**{_number(results, key)}**", *(_number(column, key) for column in columns)]


def _number(scores: Mapping[str, Any], key: str) -> str:
    if key not in scores:
        return ""
    value = scores[key]
    return "undefined" if value is None or math.isnan(value) else f"{value:.4f}"


def data_section(facts: CardFacts) -> Iterator[str]:
    """Yield where the rows come from, under which licence, and what of them is scored and trained on."""
    said = []
    for source in {item.hub_id: item for found in facts.sources.values() for item in found if item.hub_id}.values():
        licence = facts.licences.get(str(source.hub_id))
        words = f"licence {code(licence)}, as its page says" if licence else "its page states no licence"
        said.append(f"[{source.hub_id}](https://huggingface.co/datasets/{source.hub_id}): {words}.")
    overlaps = facts.results.get("contamination")
    if overlaps is not None and not overlaps:
        said.append("No row to score stands in the training rows of any task.")
    for item in overlaps or ():
        taken = "were taken out of them" if item.get("dropped") else "stayed in them"
        said.append(
            f"Contamination: {item['found']:,} of the {item['rows']:,} {item['split']} rows of {code(item['task'])} "
            f"stand in the training rows of {code(item['trained'])}; these {item['trained_rows']:,} rows {taken}."
        )
    if said:
        yield heading(2, "Data")
        yield bullets(said)
