"""What every task has, whatever its type."""

import pytest
from pydantic import ValidationError

from hf_mtl import Regression, SequenceClassification
from hf_mtl.tasks import DatasetSource, MetricSpec, Task


def test_metrics_may_be_one_name_or_names_and_mappings() -> None:
    assert Regression(metrics="mae").metrics == Regression(metrics=["mae"]).metrics == [MetricSpec(name="mae")]
    assert Regression(metrics=["mae", {"name": "r2"}]).metrics == [MetricSpec(name="mae"), MetricSpec(name="r2")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": ["a", "b", "c"]}, "one text column or two for a pair, found 3"),
        ({"test_fraction": 0.5, "validation_fraction": 0.5}, "together less than 1"),
        ({"lable": "x"}, "extra_forbidden"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Regression(**fields)


def test_the_config_of_a_model_does_not_know_where_rows_came_from() -> None:
    source = DatasetSource(path="https://user:word@host/rows.csv")
    task = SequenceClassification(labels=2, dataset=source, max_rows=3, stratify=True, train_fraction=0.2)
    assert "train_fraction" in task.row_keys
    assert not set(task.row_keys) & task.for_config().keys()
    assert "word" not in repr(task)


def test_columns_are_lists_however_they_are_written() -> None:
    task = Regression(text="a", label=["x", "y"])
    assert (task.text_columns, task.label_columns) == (["a"], ["x", "y"])


def test_a_task_that_does_not_answer_cannot_be_made() -> None:
    class Silent(Task):
        type: str = "silent"

    with pytest.raises(TypeError, match="abstract"):
        Silent()
