from pathlib import Path

import pytest

from hf_mtl.experiments.report import Report, Table, plus_minus

TABLE = Table(["arm", "score"], [["ew", "70.0"], ["uw+pcgrad", "9.5"]])


def report() -> Report:
    found = Report()
    found.add("A sentence.", gap=0)
    found.add(TABLE)
    found.add(["first", "second"])
    return found


def test_a_terminal_gets_columns_and_lines() -> None:
    assert report().text() == (
        "A sentence.\n\narm        score\n----------------\new          70.0\nuw+pcgrad    9.5\n\nfirst\nsecond"
    )


def test_a_document_gets_markdown() -> None:
    assert report().markdown() == (
        "A sentence.\n\n| arm | score |\n| --- | --- |\n| ew | 70.0 |\n| uw+pcgrad | 9.5 |\n\n- first\n- second"
    )


def test_an_empty_sentence_is_a_line_of_a_terminal_alone() -> None:
    found = Report()
    for part in ("one", "", "two"):
        found.add(part, gap=0)
    assert found.text() == "one\n\ntwo"
    assert found.markdown() == "one\n\ntwo"


def test_a_readme_is_made_and_written_again_between_its_marks(tmp_path: Path) -> None:
    readme = tmp_path / "studies" / "vip" / "README.md"
    report().write(readme, "hf-mtl report --readme")
    first = readme.read_text()
    assert first.startswith("# vip\n\n<!-- measured: written by hf-mtl report --readme -->\n")
    assert report().markdown() in first
    readme.write_text(first.replace("# vip", "# Does it help?") + "\nNo.\n")
    other = Report()
    other.add("Other numbers.")
    other.write(readme, "hf-mtl report --readme")
    text = readme.read_text()
    assert text.startswith("# Does it help?")
    assert text.endswith("\nNo.\n")
    assert "Other numbers." in text
    assert "A sentence." not in text


def test_a_readme_without_marks_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n")
    with pytest.raises(ValueError, match="no part 'measured'"):
        report().write(readme, "me")
    assert readme.read_text() == "# Mine\n"


@pytest.mark.parametrize(("values", "shown"), [([70.0], "70.00"), ([70.0, 71.0, 72.0], "71.00 ± 2.48")])
def test_a_mean_is_shown_with_half_of_its_interval(values: list[float], shown: str) -> None:
    assert plus_minus(values) == shown
