"""Which tasks read the same texts, by what they say of them."""

import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.stream_names import carving_mistakes, source_of, streams_of, streams_of_recipe
from hf_mtl.tasks import DatasetSource, RowFilter, Task

SOURCE = DatasetSource(path="csv", data_files="rows.csv")


def task(**options: object) -> Task:
    return Regression(**{"dataset": SOURCE, "label": "x", **options})  # type: ignore[arg-type]


def test_tasks_of_one_source_and_text_are_a_stream_whatever_their_labels() -> None:
    filtered = SOURCE.model_copy(update={"filter": RowFilter(column="y", equals=1), "dtype": {"y": "int"}})
    tasks = {
        "a": task(),
        "b": SequenceClassification(dataset=filtered, label="y", labels=2, max_rows=5),
        "c": task(label="z"),
    }
    assert streams_of_recipe(tasks) == {"a+b+c": ["a", "b", "c"]}


@pytest.mark.parametrize(
    "other",
    [
        {"text": "title"},
        {"text": ["text", "title"]},
        {"dataset": DatasetSource(path="csv", data_files="others.csv")},
        {"dataset": [SOURCE, SOURCE]},
        {"dataset": None},
        {"stream": False},
    ],
)
def test_what_reads_other_texts_or_wants_to_is_drawn_for_itself(other: dict[str, object]) -> None:
    assert streams_of_recipe({"a": task(), "b": task(**other), "c": None}) == {"a": ["a"], "b": ["b"], "c": ["c"]}


def test_rows_given_in_python_are_the_same_if_the_dataset_is() -> None:
    rows, asked = Dataset.from_dict({"text": ["a"]}), task(dataset=None)
    assert source_of(asked, rows) == source_of(task(dataset=None, label="y"), rows)
    assert source_of(asked, rows) != source_of(asked, Dataset.from_dict({"text": ["b"]}))


def test_a_stream_is_called_by_its_tasks_and_stands_where_its_first_one_does() -> None:
    found = streams_of({"a": "1", "b": None, "c": "1", "d": None})
    assert list(found.items()) == [("a+c", ["a", "c"]), ("b", ["b"]), ("d", ["d"])]


def test_tasks_of_a_stream_are_carved_alike() -> None:
    tasks = {"a": task(validation_fraction=0.2), "b": task(), "c": task(validation_fraction=0.3, stream=False)}
    [mistake] = carving_mistakes(tasks)
    assert mistake.key == "tasks.b.validation_fraction"
    assert "a has 0.2, b has 0.1, and they read the same texts" in mistake.problem
    assert "stream: false" in str(mistake)
    assert carving_mistakes({"a": task(), "b": task(label="y"), "c": None}) == []
