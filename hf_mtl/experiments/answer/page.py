"""The answer as one page of HTML that needs nothing beside it: images are in it, and no script is."""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from hf_mtl.experiments.answer import tables, words
from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.compared import compared_lines
from hf_mtl.experiments.answer.figures import TITLES
from hf_mtl.experiments.answer.glossary import glossary
from hf_mtl.experiments.answer.headline import UNKNOWN, headline, interval
from hf_mtl.experiments.report import Table
from hf_mtl.shown import visible

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.answer { font-size: 1.25rem; line-height: 1.4; border-left: .35rem solid #0072B2; padding: .2rem 0 .2rem 1rem }
.quiet { color: #666; margin-top: 0 }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { font-weight: 600; border-bottom: 2px solid #999 }
th:first-child, td:first-child, th:last-child.word, td:last-child.word { text-align: left }
.helps { color: #00694e; font-weight: 600 } .harms { color: #b04a00; font-weight: 600 }
td.word { white-space: normal; min-width: 8rem } .all { font-size: .8rem } .all td, .all th { padding: .3rem .4rem }
.summary td { white-space: normal; min-width: 7rem } .summary small { color: #666 } .number { white-space: nowrap }
.equivalent { color: #0072B2 } .no { color: #666 }
img { max-width: 100%; height: auto } figure { margin: 1.2rem 0 }
li { margin: .25rem 0 } details { margin: .6rem 0 } summary { cursor: pointer }
"""
_WITH_HEADING = ("curves.png", "conflicts.png")
"""Figures whose panels are titled by what they are of."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(found: Answer, figures: Sequence[Path]) -> str:
    """Write the page.

    Args:
        found: The answer.
        figures: The figures that were drawn.
    """
    question = found.question
    title = f"{question.name}: {'what it scores' if found.is_alone else 'did training together help?'}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="quiet">{_text(_asked(found))}</p>',
        f'<p class="answer">{_text(headline(found))}</p>',
    ]
    if few := words.few_seeds(found):
        parts.append(f"<p>{_text(few)}</p>")
    if found.comparisons:
        parts += [_summary(found)]
    pictures = {path.name: path for path in figures}
    parts += _picture(pictures, "intervals.png")
    if lines := compared_lines(found):
        parts += ["<h2>What was compared</h2>", _list(lines)]
    if found.causes:
        parts += ["<h2>Where it scores lower, and why that may be</h2>", _causes(found)]
    if found.notes:
        parts += ["<h2>What to know beside the numbers</h2>", _list(found.notes)]
    if found.trials:
        parts += ["<h2>Test scores</h2>", _table(tables.scores_table(found))]
        parts += ["<h2>What it took</h2>", _table(tables.costs_table(found))]
    for name in ("costs.png", "curves.png", "conflicts.png"):
        parts += _picture(pictures, name)
    if found.comparisons:
        parts += ["<h2>All comparisons</h2>", _table(tables.verdicts_table(found), found)]
        parts += ["<h2>Over all tasks</h2>", _table(tables.overall_table(found), found)]
        parts += ["<h2>Words in the tables</h2>", _list(f"{name}: {said}" for name, said in glossary(found).items())]
    parts += ["<h2>How this was found</h2>", _list(words.methods(found))]
    return _document(title, parts)


def _asked(found: Answer) -> str:
    """Say in a line what the study is of."""
    question, count = found.question, len(found.tasks)
    tasks = f"{count} task{'s' * (count != 1)}"
    if found.is_alone:
        return f"{tasks}, {question.reference} alone, {words.repeats(found)}"
    against = f"{len(found.arms)} arm{'s' * (len(found.arms) != 1)} against {question.reference}"
    budget = f"equal {question.budget}" if question.budget else "budget not stated"
    return f"{tasks}, {against}, {words.repeats(found)}, {budget}"


def _document(title: str, parts: Iterable[str]) -> str:
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _summary(found: Answer) -> str:
    """Lay out arms by tasks with a word and a number each: what a manager reads."""
    header = "".join(f"<th>{_text(name)}</th>" for name in ("", *found.tasks, "all tasks"))
    rows = []
    for arm in found.arms:
        cells = [_cell(found, arm, task) for task in (*found.tasks, None)]
        mark = " (best on validation)" if arm == found.best else ""
        rows.append(f"<tr><td>{_text(found.label(arm) + mark)}</td>{''.join(cells)}</tr>")
    note = (
        f"Points against {found.question.reference}, with plain 95% intervals, not corrected for the number of "
        "comparisons; the verdicts are."
    )
    table = f'<div class="wide"><table class="summary"><tr>{header}</tr>{"".join(rows)}</table></div>'
    return f'{table}<p class="quiet">{_text(note)}</p>'


def _cell(found: Answer, arm: str, task: str | None) -> str:
    item, word = found.comparisons[arm, task].evidence, found.verdicts[arm, task].word
    number = UNKNOWN if item.difference != item.difference else f"{item.difference:+.2f}"
    said = f"{number}{interval(item)}"
    verdict, _, more = tables.verdict_of(found, (arm, task)).partition("; ")
    below = f"<br><small>{_text(more)}</small>" if more else ""
    last = f'<br><small class="number">{_text(said)}</small>'
    return f'<td><span class="{word.split()[0]}">{_text(verdict)}</span>{below}{last}</td>'


def _causes(found: Answer) -> str:
    items = [f"<li>{_text(lead)}{_list(texts)}</li>" for lead, texts in words.shared(words.causes(found)).items()]
    return f"<ul>{''.join(items)}</ul>"


def _table(table: Table, found: Answer | None = None) -> str:
    """Lay out a table; with an answer its last column is a verdict."""
    word = ' class="word"' if found is not None else ""

    def row(cells: Sequence[str], tag: str) -> str:
        *first, last = [_text(cell) for cell in cells]
        inner = "".join(f"<{tag}>{cell}</{tag}>" for cell in first)
        return f"<tr>{inner}<{tag}{word}>{last}</{tag}></tr>"

    rows = [row(table.header, "th"), *(row(cells, "td") for cells in table.rows)]
    look = ' class="all"' if found is not None else ""
    return f'<div class="wide"><table{look}>{"".join(rows)}</table></div>'


def _picture(pictures: dict[str, Path], name: str) -> list[str]:
    if name not in pictures:
        return []
    data = base64.b64encode(pictures[name].read_bytes()).decode("ascii")
    title = TITLES[name]
    image = f'<img alt="{_text(title)}" src="data:image/png;base64,{data}">'
    heading = [f"<h2>{_text(title)}</h2>"] if name in _WITH_HEADING else []
    return [*heading, f"<figure>{image}</figure>"]


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>"


def _text(value: str) -> str:
    """Escape a text for HTML, on one line."""
    return html.escape(visible(value), quote=True)
