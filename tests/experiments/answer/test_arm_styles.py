"""How arms look."""

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.arm_styles import arm_styles
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import LIFT, study


def test_an_arm_has_one_look_whatever_has_been_run() -> None:
    question = Question("s", ("single_task", "ew", "uw"), "single_task", (0,))
    records = study({"ew": LIFT, "uw": LIFT}, seeds=1)
    whole, part = (
        arm_styles(answer(found, question)) for found in (records, [item for item in records if item["arm"] != "ew"])
    )
    assert whole == part
    assert len({style.colour for style in whole.values()}) == 3
    assert [style.line for style in whole.values()].count("-") == 1
    assert whole["single_task"].width > whole["ew"].width > whole["uw"].width
