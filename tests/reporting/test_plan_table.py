from dataclasses import replace

from hf_mtl.reporting import PlanSummary, TaskPlan, plan_table
from hf_mtl.reporting.plan import SplitCensus, TaskCensus


def test_a_plan_shows_tasks_and_totals():
    tasks = (
        TaskPlan("emotion", 3257, 0.125, 4.0, 3.93, 12, 18.44, 0.0),
        TaskPlan("sentiment", 45615, 0.875, 28, 1.96, 1204, 25, 0.0314),
    )
    plan = PlanSummary(tasks, 32, 3200, 2.1, 1_000_000, 125_000_000, 1_000_000, 1_080_000, "groups: as asked")
    lines = [
        "task         rows  share  rows/step  passes  truncated  tokens/row  unknown",
        "---------------------------------------------------------------------------",
        "emotion     3,257  12.5%       4.00    3.93         12        18.4     0.0%",
        "sentiment  45,615  87.5%      28.00    1.96      1,204        25.0     3.1%",
        "",
        "steps       3,200 of 32 rows",
        "epochs      2.1",
        "parameters  1,000,000 trainable of 125,000,000 (0.8%)",
        "tokens      1,080,000 computed for 1,000,000 (8.0% padding), in the first window",
        "encoder     groups: as asked",
    ]
    assert plan_table(plan).splitlines() == lines
    counted = replace(plan, data=(TaskCensus("emotion", {"train": SplitCensus(3257)}),))
    assert plan_table(counted).splitlines() == [
        *lines[:5],
        "rows     train  validation  test",
        "--------------------------------",
        "emotion  3,257        none  none",
        "",
        "No task has the same text twice.",
        *lines[4:],
    ]


def test_a_task_that_cuts_its_texts_in_its_own_way_is_shown() -> None:
    tasks = (
        TaskPlan("a", 10, 1.0, 4.0, 1.0, 0, 3.0, 0.0, cut="cut to 9 tokens"),
        TaskPlan("b", 10, 1, 4, 1, 0, 3, 0),
    )
    plan = PlanSummary(tasks, 8, 106, 2.0, 10, 10, 7, 7, "packed")
    shown = [line for line in plan_table(plan).splitlines() if line.startswith("texts")]
    assert shown == ["texts       a: cut to 9 tokens"]


def test_lines_of_totals_are_not_wider_than_a_terminal() -> None:
    words = "packed: packed rows agree with rows alone to 2e-07, gradients to 2e-07; attention in padded rectangles"
    tasks = (TaskPlan("a", 10, 1.0, 4.0, 1.0, 0, 3.0, 0.0),)
    plan = PlanSummary(tasks, 8, 106, 2.0, 10, 10, 1_234_567, 2_345_678, words, (1, 12), (f"enter: {words}",))
    text = plan_table(plan)
    assert max(map(len, text.splitlines())) <= 80
    assert f"schedule enter: {words}" in " ".join(text.split())
