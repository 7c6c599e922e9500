"""The table of balancing methods, and one method's page."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from hf_mtl.balancing.catalogue import (
    FAMILIES,
    NEEDS,
    REQUIRED,
    Family,
    MethodFacts,
    catalogue,
    method_facts,
    shared_options,
)
from hf_mtl.reporting.markdown import table
from hf_mtl.reporting.tables import aligned

_HEADER = ("source", "options = default", "needs", "costs", "scale")
_SCREEN = 80  # characters, of the terminals that are narrowest
_SHORT = ("needs", "costs", "scale")
_WIDTHS = (16, 16, 26, 16)  # of the name and these, with two between columns
_INDENT = " " * (_WIDTHS[0] + 2)


def methods_table() -> str:
    """List every method of both families, with the words that the table uses, for a terminal of 80 columns.

    A method has its needs, costs and scale in columns, and below them its source and its options.
    """
    tables = []
    for family in FAMILIES:
        lines = [_line((family, *_SHORT)), f"{_INDENT}source; options = default", "-" * _SCREEN]
        for name, source, options, *short in _rows(family):
            lines += [_line(cells) for cells in _wrapped([name, *short])]
            lines += _filled(source if options == "-" else f"{source}; {options}", _INDENT)
        tables.append("\n".join([*lines, "", *_filled(_shared(family))]))
    width = max(map(len, NEEDS)) + 4
    needs = [line for need, text in NEEDS.items() for line in _filled(f"  {need:{width - 2}}{text}", " " * width, 0)]
    listed = "\n".join(["Needs (with default options):", *needs])
    return "\n\n".join([*tables, listed, _words()])


def methods_markdown() -> str:
    """Return the same as Markdown, for a document."""
    parts = []
    for family in FAMILIES:
        parts += [table([[family, *_HEADER], *_rows(family, code="`")]), _shared(family, code="`")]
    needs = [f"- `{need}`: {text}" for need, text in NEEDS.items()]
    return "\n\n".join([*parts, "Needs (with default options):", "\n".join(needs), _words(code="`")])


def method_page(name: str) -> str:
    """Lay out all that one method's class says of it.

    Raises:
        UserError: If no method has the name.
    """
    facts = method_facts(name)
    needs = [f"{need}: {NEEDS[need]}" for need in facts.needs] or ["nothing"]
    about = [
        ["", "source", facts.source],
        *(["", "" if place else "needs", need] for place, need in enumerate(needs)),
        ["", "costs", facts.cost],
        ["", "scale", _scale(facts)],
    ]
    options = [["", option, _default(default)] for option, default in facts.options.items()]
    return "\n\n".join(
        [
            f"{facts.name}: {'a weighting' if facts.family == 'weighting' else 'an aggregator'}",
            facts.doc,
            aligned(about, left=3, rule=False),
            f"Options and their defaults:\n{aligned(options, left=3, rule=False)}",
            f"In a recipe:\n  balancing: {{{facts.family}: {_example(facts)}}}",
        ]
    )


def _rows(family: Family, code: str = "") -> list[list[str]]:
    """Return the cells of each method; ``code`` stands around what is typed."""
    methods = catalogue(family)
    common = shared_options(methods)
    return [
        [
            f"{code}{facts.name}{code}",
            facts.source,
            _options({key: value for key, value in facts.options.items() if key not in common}, code),
            ", ".join(facts.needs) or "nothing",
            facts.cost,
            _scale(facts),
        ]
        for facts in methods
    ]


def _scale(facts: MethodFacts) -> str:
    """Return the scale, with what a weighting's weights sum to."""
    if facts.sums_to is None:
        return facts.scale
    return f"{facts.scale}, {'own' if facts.sums_to == 'own' else f'sum {facts.sums_to}'}"


def _shared(family: Family, code: str = "") -> str:
    return f"Every {family} also takes {_options(shared_options(catalogue(family)), code)}."


def _words(code: str = "") -> str:
    example, page = (
        f"{code}balancing: {{weighting: uw, aggregator: pcgrad}}{code}",
        f"{code}hf-mtl methods NAME{code}",
    )
    return (
        "An option without a default must be given. Scale of a weighting: additive,\n"
        "a sum over tasks that counts each as often as it is drawn, or joint, where each\n"
        "task of a step counts once, and what its weights sum to: 1, T (the number of\n"
        "tasks), or its own; of an aggregator: that of the sum or the mean of the task\n"
        "gradients, its own, or that of its base. One of each may be combined:\n"
        f"{example}.\nAll of one method: {page}."
    )


def _options(options: Mapping[str, Any], code: str = "") -> str:
    texts = [key if value is REQUIRED else f"{key}={_default(value)}" for key, value in options.items()]
    return ", ".join(f"{code}{text}{code}" for text in texts) or "-"


def _default(value: Any) -> str:
    """Return a default as a recipe writes it."""
    if value is REQUIRED:
        return "must be given"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(facts: MethodFacts) -> str:
    """Return the method with all that it must be given; the name alone where that is nothing."""
    required = [f"{key}: ..." for key, value in facts.options.items() if value is REQUIRED]
    return f"{{name: {facts.name}, {', '.join(required)}}}" if required else facts.name


def _wrapped(row: list[str]) -> list[tuple[str, ...]]:
    """Return a row as the lines that it takes up in columns of `_WIDTHS`."""
    cells = [
        textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)
        for cell, width in zip(row, _WIDTHS, strict=True)
    ]
    return list(zip_longest(*cells, fillvalue=""))


def _line(cells: Sequence[str]) -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _filled(text: str, indent: str = "", first: int | None = None) -> list[str]:
    """Return a text in lines of the screen's width, behind an indent; the first line behind ``first`` blanks, if
    given.
    """
    begin = indent if first is None else " " * first
    return textwrap.wrap(
        text,
        _SCREEN,
        initial_indent=begin,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
