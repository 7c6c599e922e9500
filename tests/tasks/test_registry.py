"""Task types by name: found, registered once, and read back from JSON."""

from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.tasks import TASK_TYPES, AnyTask, Task, register, task_from_dict, task_types


def test_the_types_of_hf_mtl_are_found_by_themselves() -> None:
    assert {"sequence_classification", "regression"} <= set(task_types())
    assert list(task_types()) == sorted(task_types())
    assert task_types()["regression"] is TASK_TYPES["regression"] is Regression


def test_a_name_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TASK_TYPES, "_components", task_types())
    assert register(Regression) is Regression

    class Other(Regression):
        pass

    with pytest.raises(ValueError, match="'regression' is registered already: Regression"):
        register(Other)


def test_a_task_is_read_as_what_it_says_that_it_is() -> None:
    assert task_from_dict({"type": "regression", "label": ["x"]}) == Regression(label=["x"])
    with pytest.raises(ValidationError, match="extra_forbidden"):
        task_from_dict({"type": "regression", "labels": ["x"]})
    for wrong in ({"type": "regresion"}, {"type": 3}, {}):
        with pytest.raises(UserError, match=r"type: unknown task type .*Import the module of a type of your own"):
            task_from_dict(wrong)


def test_a_field_of_any_task_takes_tasks_and_mappings() -> None:
    class Holder(BaseModel):
        task: AnyTask

    task = SequenceClassification(labels=2)
    assert Holder(task=task).task is task
    assert Holder(task=task.for_config()).task == task
    assert Holder(task=task).model_dump()["task"]["label_smoothing"] == 0.0
    with pytest.raises(ValidationError):
        Holder(task="regression")


def test_a_type_without_baselines_is_refused_when_it_is_registered() -> None:
    class Bare(Regression):
        type: Literal["bare"] = "bare"  # type: ignore[assignment]
        linear_outputs = Task.linear_outputs

    with pytest.raises(ValueError, match="Bare has no baselines"):
        register(Bare)


def test_a_type_without_a_name_is_refused_when_it_is_registered() -> None:
    class Nameless(Regression):
        type: str  # type: ignore[assignment]

    with pytest.raises(ValueError, match=r'Nameless has no name: write type: Literal\["my_type"\] = "my_type"'):
        register(Nameless)
