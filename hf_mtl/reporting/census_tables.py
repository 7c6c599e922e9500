"""Census of the data of a plan, as plain-text tables of at most 80 columns where names allow it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from hf_mtl.reporting.plan import TaskCensus
from hf_mtl.reporting.tables import aligned
from hf_mtl.shown import visible

FEW_ROWS = 10
"""Training rows below which a class is named as rare."""

_WIDTH = 80
_CLASS_LINES = 60  # over all tasks, which many tasks with three lines each exceed
_SPLITS = ("train", "validation", "test")
_REMEDY = "{key}: balanced, a key of a task, lets rare classes weigh as much as others in the loss."


def census_text(tasks: Sequence[TaskCensus]) -> str:
    """Return the rows of every split, the classes, texts that come again, and classes with few rows.

    Args:
        tasks: The tasks, in the recipe's order.
    """
    if not tasks:
        return ""
    parts = [_rows(tasks), _classes(tasks), _unknown(tasks), _repeats(tasks), _rare(tasks)]
    return "\n\n".join(part for part in parts if part)


def _rows(tasks: Sequence[TaskCensus]) -> str:
    rows = [[task.name, *(_row_count(task, split) for split in _SPLITS)] for task in tasks]
    return aligned([["rows", *_SPLITS], *rows], left=1)


def _row_count(task: TaskCensus, split: str) -> str:
    return f"{task.splits[split].rows:,}" if split in task.splits else "none"


def _classes(tasks: Sequence[TaskCensus]) -> str:
    """Return a line for each class, or for the largest and the smallest of many."""
    classified = [task for task in tasks if task.classes]
    if not classified:
        return ""
    limit = max(3, min(20, _CLASS_LINES // len(classified)))
    lines = [
        ["" if index else task.name, *line]
        for task in classified
        for index, line in enumerate(_class_lines(task.classes, limit))
    ]
    header = ["classes", "class", *_SPLITS]
    return aligned(_fitted(header, lines), left=2)


def _unknown(tasks: Sequence[TaskCensus]) -> str:
    """Return a line for each label or target of which some rows do not tell."""
    lines = [
        ["" if index else task.name, label, *(_count(counts, split) for split in _SPLITS)]
        for task in tasks
        for index, (label, counts) in enumerate(task.unknown.items())
    ]
    return aligned(_fitted(["not known", "label or target", *_SPLITS], lines), left=2) if lines else ""


def _class_lines(classes: Mapping[str, Mapping[str, int]], limit: int) -> Iterator[list[str]]:
    if len(classes) <= limit:
        for label, counts in classes.items():
            yield [label, *(_count(counts, split) for split in _SPLITS)]
        return
    by_size = sorted(classes, key=lambda label: -next(iter(classes[label].values()), 0))
    first, last = limit // 2, (limit - 1) // 2
    between = by_size[first : len(by_size) - last]
    for label in by_size[:first]:
        yield [label, *(_count(classes[label], split) for split in _SPLITS)]
    yield [f"... {len(between):,} more", *(_range([classes[label] for label in between], split) for split in _SPLITS)]
    for label in by_size[len(by_size) - last :]:
        yield [label, *(_count(classes[label], split) for split in _SPLITS)]


def _count(counts: Mapping[str, int], split: str) -> str:
    return f"{counts[split]:,}" if split in counts else ""


def _range(classes: Sequence[Mapping[str, int]], split: str) -> str:
    found = [counts[split] for counts in classes if split in counts]
    if not found:
        return ""
    return f"{max(found):,}" if max(found) == min(found) else f"{max(found):,} to {min(found):,}"


def _clipped(text: str, width: int) -> str:
    """Return a name in its cell, or the beginning of one that is too long."""
    text = visible(text)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _repeats(tasks: Sequence[TaskCensus]) -> str:
    lines = []
    for task in tasks:
        name = task.name
        for split, found in task.splits.items():
            if found.is_plain:
                continue
            numbers = [found.repeated, found.shared.get("train"), found.shared.get("validation"), found.relabelled]
            lines.append([name, split, *("" if number is None else f"{number:,}" for number in numbers)])
            name = ""
    if not lines:
        return "No task has the same text twice."
    header = ["same texts", "split", "repeated", "in train", "in validation", "other label"]
    explained = (
        "Rows whose text is also in an earlier row of the split, in train, in validation, or in any row of the task "
        "with another label. Case, punctuation and blanks do not matter."
    )
    return f"{aligned([header, *lines], left=2)}\n{_wrapped(explained)}"


def _rare(tasks: Sequence[TaskCensus]) -> str:
    """Return a line for each task with classes of few training rows."""
    header = ["rare classes", "the fewest train rows", f"under {FEW_ROWS}", "weights"]
    lines, remedies = [], {}
    for task in tasks:
        train = {label: counts["train"] for label, counts in task.classes.items() if "train" in counts}
        few = {label: count for label, count in train.items() if count < FEW_ROWS}
        if not few:
            continue
        named = ", ".join(f"{label} ({few[label]})" for label in sorted(few, key=lambda label: few[label])[:5])
        lines.append([task.name, named, f"{len(few):,}", "set" if task.weighted else "none"])
        if task.weights_key is not None and not task.weighted:
            remedies[task.weights_key] = _REMEDY.format(key=task.weights_key)
    if not lines:
        return ""
    return "\n".join([aligned(_fitted(header, lines), left=2), *map(_wrapped, remedies.values())])


def _fitted(header: list[str], lines: Sequence[list[str]]) -> list[list[str]]:
    """Cut the second column of header and lines to the width that the others and the gaps leave."""
    others = [column for column in range(len(header)) if column != 1]
    taken = sum(max(len(line[column]) for line in [header, *lines]) for column in others)
    width = max(12, _WIDTH - taken - 2 * len(others))
    return [header, *([line[0], _clipped(line[1], width), *line[2:]] for line in lines)]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
