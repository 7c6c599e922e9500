"""Shorten long names in a figure: of ticks and in legends, which are not broken into lines."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_WORD = re.compile(r"[^\s:,()]+")
LONGEST = 32
"""Letters of a word that are shown; what is longer loses its middle."""


def short_names(words: Iterable[str]) -> dict[str, str]:
    """Return a shorter name for each word that is too long; names of different words differ.

    Args:
        words: The words of a figure.
    """
    known = set(words)
    long = sorted(word for word in known if len(word) > LONGEST)
    wanted = {word: _without_middle(word, "…") for word in long}
    taken = Counter([*wanted.values(), *(known - set(long))])
    same = [word for word in long if taken[wanted[word]] > 1]
    return wanted | {word: _without_middle(word, f"…{number}…") for number, word in enumerate(same, 1)}


def shorten_names(figure: "Figure") -> None:
    """Shorten long words among the names of ticks and in legends, each to the same name everywhere.

    Args:
        figure: The figure, complete.
    """
    ticks = {axis: tick_names(axis) for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)}
    texts = [text for legend in _legends(figure) for text in legend.get_texts()]
    said = [*(name for found in ticks.values() for name in found), *(text.get_text() for text in texts)]
    names = short_names(word for name in said for word in _WORD.findall(name))
    if not names:
        return
    for axis, found in ticks.items():
        if found:
            axis.set_ticklabels([_renamed(name, names) for name in found])
    for text in texts:
        text.set_text(_renamed(text.get_text(), names))


def tick_names(axis: "Axis") -> list[str]:
    """Return the names of an axis' ticks; of one with numbers none.

    Args:
        axis: The axis of a panel.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter  # a second to import

    # matplotlib looks names up by the places that they were given for.
    named = isinstance(axis.get_major_formatter(), FuncFormatter)
    fixed = isinstance(axis.get_major_locator(), FixedLocator)
    return [text.get_text() for text in axis.get_ticklabels()] if named and fixed else []


def _legends(figure: "Figure") -> "list[Legend]":
    return [*figure.legends, *(found for panel in figure.axes if (found := panel.get_legend()) is not None)]


def _without_middle(word: str, sign: str) -> str:
    kept = LONGEST - len(sign)
    return word[: kept // 2] + sign + word[len(word) - (kept - kept // 2) :]


def _renamed(text: str, names: dict[str, str]) -> str:
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text)
