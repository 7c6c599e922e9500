"""The report of a study, written from its files alone, as often as one likes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hf_mtl.errors import Mistake, UserError
from hf_mtl.experiments.answer.answer import Answer, answer
from hf_mtl.experiments.answer.as_json import as_json
from hf_mtl.experiments.answer.current import current, identities_in, parts_in
from hf_mtl.experiments.answer.figures import draw
from hf_mtl.experiments.answer.lines import KINDS, read_records
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import RESULTS, STUDY, merging_in, read_question, read_yaml
from hf_mtl.experiments.answer.words import build
from hf_mtl.experiments.report import Report
from hf_mtl.reporting.atomic import replacing
from hf_mtl.reporting.json_files import write_json_atomic

README = "README.md"
PAGE = "report.html"
ANSWER = "answer.json"


class Written(NamedTuple):
    """A report that was written.

    Args:
        text: Its tables, for a terminal.
        answer: The answer.
        page: The page of HTML.
        figures: The figures that were drawn.
    """

    text: str
    answer: Answer
    page: Path
    figures: Sequence[Path]

    @property
    def places(self) -> str:
        """Say where it is, in a line."""
        said = f"The report is {self.page}."
        return f"{said} The figures are in {self.figures[0].parent}." if self.figures else said


def read_answer(folder: Path, said: Mapping[str, Any] | None = None) -> Answer:
    """Answer a study from the files in its folder; nothing is written.

    Args:
        folder: The study's folder, with ``results.jsonl`` and, if there is one, ``study.yaml``.
        said: What the study's file says; None: that of ``study.yaml``.

    Raises:
        UserError: If there are no results of a study.
        CheckpointError: If a file is damaged; names it.
    """
    results = folder / RESULTS
    if not results.exists():
        remedy = f"Name the folder of a study, which holds {RESULTS}, or that of a run"
        raise UserError(Mistake("", f"{folder}: holds no {RESULTS}, of a study that has begun", remedy))
    every = read_records(results)
    if every and not any(record.get("kind") in KINDS for record in every):
        problem = f"{results}: no line is a run of a study, whose kind is one of {', '.join(KINDS)}"
        raise UserError(Mistake("", problem, "Name the folder of a study; nothing is written"))
    said = read_yaml(folder / STUDY) if said is None else said
    records, notes = current(every, identities_in(folder), merging_in(said, folder / STUDY))
    question = read_question(folder, records, said)
    return answer(records, replace(question, notes=(*question.notes, *notes), parts=parts_in(folder)))


def write_report(folder: Path, readme: bool = False, said: Mapping[str, Any] | None = None) -> Written:
    """Write ``answer.json``, ``report.html`` and ``figures/`` of a study.

    Args:
        folder: The study's folder.
        readme: Write the part ``measured`` of its README.md too, which is made if it is missing.
        said: As for `read_answer`.

    Raises:
        UserError: If there are no results, or the README has no such part.
        CheckpointError: If a file is damaged; names it.
    """
    found = read_answer(folder, said)
    words = build(found)
    if readme:  # first, as it may refuse
        _write_readme(words, folder)
    figures = draw(found, folder / "figures")
    write_json_atomic(folder / ANSWER, as_json(found))
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(page(found, figures), "utf-8")
    return Written(words.text(), found, folder / PAGE, figures)


def _write_readme(words: Report, folder: Path) -> None:
    try:
        words.write(folder / README, shlex.join(["hf-mtl", "report", folder.as_posix(), "--readme"]))
    except ValueError as error:
        marks = "<!-- measured: written by hf-mtl report --> and <!-- end of measured -->"
        remedy = f"Write two lines into it, {marks}, between which the report goes"
        raise UserError(Mistake("--readme", str(error), remedy)) from error
