"""What the words of a report mean."""

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.glossary import glossary
from hf_mtl.experiments.answer.page import page
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.tables import overall_table, verdicts_table
from hf_mtl.experiments.answer.words import build
from tests.experiments.answer.records import LIFT, study


def test_each_word_of_the_tables_has_a_line_on_the_page() -> None:
    found = answer(study({"ew": LIFT}, seeds=3), Question("s", ("single_task", "ew"), "single_task", (0, 1, 2)))
    terms = glossary(found)
    plain = {"arm", "arm: task", "by", "n", "verdict"}
    headers = {*verdicts_table(found).header, *overall_table(found).header} - plain
    assert {name.removesuffix(" %") for name in headers} <= terms.keys()
    text = page(found, [])
    assert all(f"<li>{name}: " in text for name in terms)
    assert "behind ± stands half of their plain 95% interval" in build(found).text()
