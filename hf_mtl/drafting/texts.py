"""Which columns of a dataset are its texts: one, or the two of a pair."""

import re
from collections.abc import Mapping

from hf_mtl.drafting.columns import TEXT_NAMES, Column, of_kind
from hf_mtl.drafting.guess import Texts, quoted

_PAIRS = (
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "context"),
    ("question", "passage"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("text", "text_pair"),
    ("claim", "evidence"),
    ("context", "response"),
    ("post", "reply"),
    ("message", "reply"),
)
_NUMBERED = re.compile(r"^(.*?)[_ ]?(1|2|a|b|left|right)$", re.I)
_FIRST = ("1", "a", "left")


def find_texts(columns: Mapping[str, Column]) -> Texts:
    """Choose the text columns: a pair by its names, else a usual name, else the longest texts."""
    found = of_kind(columns, "text") or of_kind(columns, "words")
    if not found:
        return Texts(())
    named = {column.name.lower(): column for column in found}
    for first, second in [*_PAIRS, *_numbered(named)]:
        if first in named and second in named:
            pair = (named[first], named[second])
            why = f"a pair by their names; {pair[0].why}, and {pair[1].why}"
            single = f"If only one of them is meant: text: {pair[0].name}."
            return Texts(pair, why, (single, *_beside(found, pair)))
    usual = [named[name] for name in TEXT_NAMES if name in named]
    chosen = usual[0] if usual else max(found, key=lambda column: column.words)
    reason = "its name is a usual one" if usual else "it has the longest texts"
    return Texts((chosen,), f"{reason}; {chosen.why}", _beside(found, (chosen,)))


def _numbered(names: Mapping[str, Column]) -> list[tuple[str, str]]:
    """Find names that differ in 1 and 2, a and b, left and right alone."""
    stems: dict[str, list[tuple[bool, str]]] = {}
    for name in names:
        if found := _NUMBERED.match(name):
            stems.setdefault(found[1], []).append((found[2] not in _FIRST, name))
    return [(sorted(found)[0][1], sorted(found)[1][1]) for found in stems.values() if len(found) == 2]


def _beside(found: list[Column], chosen: tuple[Column, ...]) -> tuple[str, ...]:
    rest = [column.name for column in found if column not in chosen]
    if not rest:
        return ()
    how = f"text: [{chosen[0].name}, {rest[0]}] reads two as a pair"
    joined = f'concat: {{both: "{{{chosen[0].name}}} {{{rest[0]}}}"}} in the dataset joins them'
    is_are = "holds texts too and is" if len(rest) == 1 else "hold texts too and are"
    return (f"{quoted(rest)} {is_are} not read: {how}, and {joined}.",)
