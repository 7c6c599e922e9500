"""Markdown tables, and the parts of a page that a program writes."""

from pathlib import Path

import pytest

from hf_mtl.reporting.markdown import table, write_parts
from tests.pages import parts_of

PAGE = """# A page

Before.

<!-- scores: written by a report -->
old
<!-- end of scores -->

After.
"""


def test_the_first_row_is_the_header_and_bars_end_no_cell() -> None:
    assert table([["name", "what"], ["a|b", "two\nlines"]]) == "| name | what |\n| --- | --- |\n| a\\|b | two lines |"


def test_a_part_is_replaced_and_the_rest_is_left(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    write_parts(page, {"scores": r"\1 and \n stay"})
    assert parts_of(page.read_text()) == {"scores": r"\1 and \n stay"}
    assert page.read_text() == PAGE.replace("old\n", "\n\\1 and \\n stay\n\n")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    write_parts(page, {"scores": "new"})
    once = page.read_text()
    write_parts(page, {"scores": "new"})
    assert page.read_text() == once


def test_a_part_that_is_not_there_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    with pytest.raises(ValueError, match="has no part 'costs'"):
        write_parts(page, {"scores": "new", "costs": "new"})
    assert page.read_text() == PAGE
