"""Rows to score that stand in training rows, as a plain-text table with examples."""

import textwrap
from collections.abc import Sequence

from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.reporting.tables import aligned

_WIDTH = 80


def overlap_text(overlaps: Sequence[Overlap] | None) -> str:
    """Return a line for each split and the task that trains on rows of it, and below them examples of each.

    Args:
        overlaps: What was found; None: nobody has looked.
    """
    if overlaps is None:
        return ""
    if not overlaps:
        return "No row to score stands in the training rows of a task."
    header = ["to score", "split", "in train of", "rows", "found", "share", "train rows", "taken out"]
    lines = []
    for item in overlaps:
        numbers = [f"{item.rows:,}", f"{item.found:,}", f"{item.found / item.rows:.1%}", f"{item.trained_rows:,}"]
        lines.append([item.task, item.split, item.trained, *numbers, "yes" if item.dropped else "no"])
    remedy = (
        "Rows to score that stand in training rows; case, punctuation and blanks do not matter. "
        "data: {contamination: drop} takes these training rows out."
    )
    parts = [aligned([header, *lines], left=3), *map(_examples, overlaps)]
    if not all(item.dropped for item in overlaps):
        parts.append(_wrapped(remedy, "  "))
    return "\n".join(parts)


def _examples(item: Overlap) -> str:
    place = f"{item.task} {item.split}, in train of {item.trained}:"
    return "\n".join([place, *(_wrapped(f"  {text}", "    ") for text in item.examples)])


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
