"""Which tasks read the same texts, by what they say of them."""

import pytest
from datasets import Dataset

from hf_mtl import MultipleChoice, Regression, SequenceClassification, TokenClassification
from hf_mtl.data import mixture
from hf_mtl.data.stream_names import carving_mistakes, in_streams, source_of, streams_of, streams_of_recipe
from hf_mtl.errors import Mistake
from hf_mtl.tasks import DatasetSource, RowFilter, Task

SOURCE = DatasetSource(path="csv", data_files="rows.csv")
BOTH = {"text": "{title}: {body}"}


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


def made(**options: object) -> DatasetSource:
    return SOURCE.model_copy(update={"concat": BOTH, **options})


def test_columns_that_are_made_or_renamed_for_labels_do_not_part_a_stream() -> None:
    tasks = {
        "a": task(dataset=made(rename={"V": "x", "head": "title"})),
        "b": task(
            dataset=made(rename={"A": "x", "head": "title"}, concat={"text": "{title}: {body}", "more": "{x}"})
        ),
        "c": task(dataset=made(rename={"V": "x", "top": "title"})),
        "d": task(dataset=made(rename={"V": "x", "head": "title"}, function="module.function")),
        "e": task(dataset=made(rename={"A": "x", "head": "title"}, function="module.function")),
        "f": task(dataset=made(concat={"text": "{title}"})),
    }
    assert list(streams_of_recipe(tasks)) == ["a+b", "c", "d", "e", "f"]


def test_a_mixture_may_name_the_tasks_of_a_stream_in_any_order() -> None:
    streams = {"a+b": ["a", "b"], "c": ["c"]}
    mistakes: list[Mistake] = []
    given = mixture.parse({"proportions": {"b+a": 2, "c": 1}}, mistakes)
    assert in_streams(given, streams).settled()["proportions"] == {"a+b": 2, "c": 1}
    twice = mixture.parse({"temperature": {"b+a": 2, "a+b": 3, "c": 1}}, mistakes)
    assert in_streams(twice, streams).settled()["temperature"] == {"b+a": 2, "a+b": 3, "c": 1}
    plain = mixture.parse({"temperature": 2.0}, mistakes)
    assert in_streams(plain, streams).options() == plain.options()
    assert not mistakes


def test_tags_of_words_are_labels_of_their_text_too() -> None:
    tags = TokenClassification(dataset=SOURCE, text="text", label="spans", labels=["A"])
    assert streams_of_recipe({"a": task(), "tags": tags}) == {"a+tags": ["a", "tags"]}
    choices = MultipleChoice(dataset=SOURCE, text=["text"], choices=["b", "c"], label="y")
    assert len(streams_of_recipe({"a": task(text=["text"]), "choices": choices})) == 2


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
