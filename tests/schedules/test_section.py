"""The section ``schedules``: read once, and checked against what is known of a run."""

from collections.abc import Collection

import pytest

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.schedules import Facts, ParameterGroup, Run, build_schedules, mistakes, parse

TASKS = ["a", "b"]
RUN = Run(tuple(TASKS), total_steps=10, steps_per_epoch=5)


class Model:
    """A model of one part each, without layers that are known."""

    def trained(self, groups: Collection[ParameterGroup]) -> int:
        if any(isinstance(group, int) for group in groups):
            raise ModelError(Mistake("model.freeze", "the layers are not known", "Allowed: embeddings."))
        return len({*groups})


def said(schedules: list[object], facts: Facts) -> list[str]:
    wrong: list[Mistake] = []
    spec = parse(schedules, wrong)
    assert wrong == []
    return [str(mistake) for mistake in mistakes(spec, facts)]


def test_a_schedule_keeps_its_place_beside_one_that_is_wrong() -> None:
    wrong: list[Mistake] = []
    spec = parse(["alternatin", {"type": "enter", "task": "a", "at": 0.5}], wrong)
    assert [item and item.chosen for item in spec] == [None, "enter"]
    assert [mistake.key for mistake in wrong] == ["schedules.0"]
    assert [schedule.name for schedule in build_schedules(spec, TASKS, lambda: RUN).schedules] == ["enter"]


def test_nothing_is_no_schedule() -> None:
    assert parse(None, []) == parse([], []) == ()


def test_unknown_tasks_and_losses_that_never_come_are_said_together() -> None:
    feedback = {"type": "mt2st_feedback", "main": "a"}
    enter = {"type": "enter", "task": "c", "at": 0.5}
    found = said([feedback, enter], Facts(TASKS, evaluated=["b"]))
    assert [text.partition(": ")[0] for text in found] == ["schedules.1.task", "schedules.0"]
    assert said([feedback], Facts(TASKS)) == said([feedback], Facts(TASKS, evaluated=["a"])) == []


def test_groups_that_are_not_there_or_not_trained_are_refused() -> None:
    switch = {"type": "mt2st_switch", "main": "a", "freeze": 1}
    assert said([switch], Facts(TASKS, parts=Model(), run=RUN)) == [
        "schedules.0.freeze: the layers are not known. Allowed: embeddings."
    ]
    [text] = said(["alternating"], Facts(TASKS, encoder_trained=False))
    assert text.startswith("schedules.0: 'alternating' alternates, and nothing of the encoder is trained.")


@pytest.mark.parametrize(("at", "first"), [({"step": 3}, "0"), (0.5, "0")])
def test_a_step_without_a_task_is_refused_where_the_run_is_known(at: object, first: str) -> None:
    schedules: list[object] = [{"type": "enter", "task": task, "at": at} for task in TASKS]
    [text] = said(schedules, Facts(TASKS, parts=Model(), run=RUN))
    assert text.startswith(f"schedules: no task takes part in step {first} (enter, enter).")
    assert said(schedules, Facts(TASKS)) == []
