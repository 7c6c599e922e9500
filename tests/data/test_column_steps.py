"""Columns of a source: their order of making, from files with and without types."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_mtl import MultiLabelClassification, Regression, SequenceClassification
from hf_mtl.data.column_steps import make_columns, rename_columns
from hf_mtl.data.load import load_task
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, RowFilter, Task
from tests.data.rows import message, saved
from tests.training import runs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with runs.own_cache(tmp_path):
        yield tmp_path


def part(**columns: list) -> dict[str, Dataset]:
    return {"train": Dataset.from_dict(columns)}


def source(**keys: Any) -> DatasetSource:
    return DatasetSource(path="x", **keys)


def csv(text: str, **keys: Any) -> DatasetSource:
    Path("a.csv").write_text(text)
    return DatasetSource(path="csv", data_files="a.csv", **keys)


def rows_of(task: Task, allow_code: bool = False) -> list[tuple]:
    found = load_task("t", task.model_copy(update={"validation_fraction": 0.0}), allow_code=allow_code)
    return list(zip(found.splits["train"]["text"], found.splits["train"]["label"], strict=True))


# ---- rename ----


def test_columns_get_new_names_and_may_change_places() -> None:
    found = rename_columns(part(a=[1], b=[2], c=[3]), source(rename={"a": "b", "b": "a"}), "k")["train"]
    assert found.to_list() == [{"b": 1, "a": 2, "c": 3}]


def test_a_name_that_is_taken_and_a_column_that_is_not_there_are_mistakes() -> None:
    text = message(rename_columns, part(a=[1], b=[2]), source(rename={"a": "b", "bb": "c"}), "k")
    assert "k.rename.a: train has a column 'b' already. Rename that one too" in text
    assert "k.rename.bb: no column 'bb'. Columns: a, b. Did you mean 'b'?" in text


def test_a_split_may_lack_a_column_that_another_has() -> None:
    splits = {**part(a=[1]), "test": Dataset.from_dict({"c": [1]})}
    assert rename_columns(splits, source(rename={"a": "b"}), "k")["test"].column_names == ["c"]


# ---- map and concat ----


def made(splits: dict[str, Dataset], **keys: Any) -> list[dict]:
    return make_columns(splits, source(**keys), "t", "k").splits["train"].to_list()


def test_templates_are_filled_with_values_as_words_and_run_nothing() -> None:
    features = Features(
        {
            "s": Value("string"),
            "n": Value("int64"),
            "f": Value("float64"),
            "b": Value("bool"),
            "c": ClassLabel(names=["x", "y"]),
            "d": Value("date32"),
        }
    )
    values = {"s": ["{n}!", None], "n": [7, None], "f": [0.5, None], "b": [True, None], "c": [1, -1]}
    values["d"] = [datetime.date(2020, 1, 2), None]
    splits = {"train": Dataset.from_dict(values, features=features)}
    found = made(splits, concat={"text": "{s} {{{n}}} {f} {b} {c} {d}"})
    assert [row["text"] for row in found] == ["{n}! {7} 0.5 true y 2020-01-02", None]


def test_a_missing_value_is_empty_and_a_row_of_blanks_has_no_text() -> None:
    splits = part(title=["a", None, " ", None], body=["b", "c", "", None])
    assert [row["text"] for row in made(splits, concat={"text": "{title}: {body}"})] == ["a: b", ": c", None, None]


def test_a_template_takes_the_place_of_a_column_and_reads_none_of_the_others() -> None:
    found = made(part(a=["x"], text=["old"]), concat={"text": "{a} {text}", "both": "{text}{text}"})
    assert found == [{"a": "x", "text": "x old", "both": "oldold"}]


def test_columns_that_a_template_cannot_take_are_mistakes_with_spelling() -> None:
    splits = {"train": Dataset.from_dict({"title": ["a"], "l": [["a"]]})}
    text = message(make_columns, splits, source(concat={"text": "{titel} {l}"}), "t", "k")
    assert "k.concat.text: train has no column 'titel'. Columns: l, title. Did you mean 'title'?" in text
    assert "train column 'l' holds list<" in text


def test_all_mistakes_of_the_maps_come_at_once() -> None:
    text = message(make_columns, part(a=[1], b=[2]), source(map={"a": {"0": "x"}, "bb": {"2": "y"}}), "t", "k")
    assert "k.map.a: train has 1 row with values of 'a' that the map lacks: 1" in text
    assert "k.map.bb: no column 'bb'. Columns: a, b. Did you mean 'b'?" in text


def test_a_key_that_no_row_has_is_said() -> None:
    found = make_columns(part(a=[0]), source(map={"a": {"0": "x", "5": "y"}}), "t", "k")
    assert found.notes == ["t: no row has the value '5' that the map of 'a' names."]


# ---- a function ----


def test_a_function_gets_rows_that_were_renamed_filtered_mapped_and_concatenated() -> None:
    Path("own_steps.py").write_text(
        "seen = []\n\ndef clean(row):\n    seen.append(dict(row))\n"
        "    return None if row['text'] == 'drop. me' else {'label': row['label'].upper()}\n"
    )
    data = csv(
        "title,body,stars\na,b,1\nc,d,3\ndrop,me,5\ne,f,5\n",
        rename={"stars": "label"},
        filter=RowFilter(column="label", one_of=[1, 5]),
        map={"label": {"1": "bad", "5": "good"}},
        concat={"text": "{title}. {body}"},
        function="own_steps.clean",
    )
    assert rows_of(SequenceClassification(dataset=data), allow_code=True) == [("a. b", "BAD"), ("e. f", "GOOD")]
    import own_steps

    assert own_steps.seen[0] == {"title": "a", "body": "b", "label": "bad", "text": "a. b"}
    found = load_task("t", SequenceClassification(dataset=data, validation_fraction=0.0), allow_code=True)
    assert "t: the function own_steps.clean gives 2 for 3 train rows." in found.notes
    with pytest.raises(DataError, match="own_steps.clean' is code of your own"):
        load_task("t", SequenceClassification(dataset=data))


def test_what_a_function_gives_as_text_is_read_as_a_csv_file_is() -> None:
    Path("own_texts.py").write_text("def same(row):\n    return {'text': row['text'] + row['label']}\n")
    data = csv("text,label\na,0\nb,1\n", function="own_texts.same")
    assert rows_of(SequenceClassification(dataset=data), allow_code=True) == [("a0", 0), ("b1", 1)]
    names = data.model_copy(update={"dtype": {"label": "string"}})
    assert rows_of(SequenceClassification(dataset=names), allow_code=True) == [("a0", "0"), ("b1", "1")]


def test_a_function_that_leaves_nothing_is_a_mistake() -> None:
    Path("own_nothing.py").write_text("def none(row):\n    return None\n")
    data = csv("text,label\na,0\nb,1\n", function="own_nothing.none")
    with pytest.raises(DataError, match=r"function: train: the function 'own_nothing.none' leaves none of 2 rows"):
        load_task("t", SequenceClassification(dataset=data), allow_code=True)


# ---- types and lines ----


def test_a_filter_compares_what_the_file_has_and_a_map_what_the_filter_left() -> None:
    data = csv("text,label\na,0\nb,2\nc,4\n", map={"label": {"0": "bad", "4": "good"}})
    assert "line 3 of 'a.csv'" in message(load_task, "t", SequenceClassification(dataset=data))
    filtered = data.model_copy(update={"filter": RowFilter(column="label", one_of=[0, 4])})
    assert rows_of(SequenceClassification(dataset=filtered)) == [("a", "bad"), ("c", "good")]


@pytest.mark.parametrize("dtype", [{}, {"label": "string"}, {"label": "int"}, {"label": "float"}])
def test_digits_of_a_csv_file_meet_the_map_whatever_they_are_read_as(dtype: dict) -> None:
    data = csv("text,label\na,0\nb, 1\nc,1.0\n" if dtype.get("label") != "int" else "text,label\na,0\nb,1\nc,1\n")
    data = data.model_copy(update={"dtype": dtype, "map": {"label": {"0": "no", "1": "yes"}}})
    assert rows_of(SequenceClassification(dataset=data)) == [("a", "no"), ("b", "yes"), ("c", "yes")]


def test_labels_of_a_map_stay_what_the_map_says() -> None:
    texts = csv("text,label\na,x\nb,y\n", map={"label": {"x": "1", "y": "0"}})
    assert load_task("t", SequenceClassification(dataset=texts, validation_fraction=0.0)).task.labels == ["0", "1"]
    assert rows_of(SequenceClassification(dataset=texts)) == [("a", "1"), ("b", "0")]
    numbers = texts.model_copy(update={"map": {"label": {"x": 1, "y": 0}}})
    assert rows_of(SequenceClassification(dataset=numbers, labels=["no", "yes"])) == [("a", 1), ("b", 0)]
    assert rows_of(Regression(dataset=texts.model_copy(update={"map": {"label": {"x": 0.5, "y": 1}}}))) == [
        ("a", 0.5),
        ("b", 1.0),
    ]


def test_null_makes_a_row_one_without_a_label_which_is_dropped_and_counted() -> None:
    data = csv("text,label\na,x\nb,y\nc,z\n", map={"label": {"x": "bad", "y": None, "z": "good"}})
    found = load_task("t", SequenceClassification(dataset=data, validation_fraction=0.0))
    assert found.splits["train"]["text"][:] == ["a", "c"]
    assert found.notes[0] == "t: 1 of 3 train rows has no label and was dropped."


def test_dtype_names_the_columns_of_the_file_and_everything_else_the_new_names() -> None:
    data = csv("t,l\na,1\nb,2\n", rename={"t": "text", "l": "label"}, dtype={"l": "string"})
    assert rows_of(SequenceClassification(dataset=data)) == [("a", "1"), ("b", "2")]
    wrong = data.model_copy(update={"dtype": {"l": "bool"}})
    assert "tasks.t.dataset.dtype.l: train holds '1', '2', which are no bool" in message(
        load_task, "t", SequenceClassification(dataset=wrong)
    )
    missing = data.model_copy(update={"dtype": {"label": "string", "lbl": "int"}})
    assert "tasks.t.dataset.dtype.lbl: no column 'lbl'" in message(
        load_task, "t", SequenceClassification(dataset=missing)
    )


def test_a_column_beside_the_labels_is_concatenated_as_it_is_spelled() -> None:
    data = csv("title,label\n007,1\n1.50,2\n", concat={"text": "{title}/{label}"})
    assert rows_of(Regression(dataset=data)) == [("007/1", 1), ("1.50/2", 2)]


def test_lines_of_a_file_are_those_of_the_rows_that_a_function_kept() -> None:
    Path("own_lines.py").write_text(
        "def clean(row):\n    return None if row['text'] == 'a' else {'text': row['text'].strip('x')}\n"
    )
    data = csv("text,label\na,0\nb,1\nx,0\nc,7\n", filter=RowFilter(column="label", one_of=[0, 1]))
    data = data.model_copy(update={"function": "own_lines.clean"})
    with pytest.raises(DataError, match="empty text in column 'text': line 4 of 'a.csv'"):
        load_task("t", SequenceClassification(dataset=data), allow_code=True)


def test_a_test_split_whose_labels_are_made_is_scored_and_one_without_is_left_out(tmp_path: Path) -> None:
    splits = {"text": ["a", "b"], "stars": [1, 2]}
    without = {"text": ["a", "b"], "id": [1, 2]}
    made = saved(tmp_path, "one", train=splits, validation=splits, test=splits)
    renamed = made.model_copy(update={"rename": {"stars": "label"}, "map": {"label": {"1": "x", "2": "y"}}})
    assert list(load_task("t", SequenceClassification(dataset=renamed)).splits) == ["train", "validation", "test"]
    made = saved(tmp_path, "two", train=splits, validation=splits, test=without)
    renamed = renamed.model_copy(update={"path": made.path})
    found = load_task("t", SequenceClassification(dataset=renamed))
    assert list(found.splits) == ["train", "validation"]
    assert "t: test has no label column and cannot be scored; it is left out." in found.notes


def test_each_source_of_a_list_has_its_own_columns(tmp_path: Path) -> None:
    one = csv("text,label\na,0\nb,4\n", map={"label": {"0": "bad", "4": "good"}})
    two = saved(tmp_path, train={"headline": ["c"], "body": ["d"], "mood": ["good"]})
    two = two.model_copy(update={"rename": {"mood": "label"}, "concat": {"text": "{headline}. {body}"}})
    task = SequenceClassification(dataset=[one, two])
    assert rows_of(task) == [("a", "bad"), ("b", "good"), ("c. d", "good")]
    wrong = two.model_copy(update={"concat": {"text": "{headlin}"}})
    assert "tasks.t.dataset.1.concat.text: train has no column 'headlin'" in message(
        load_task, "t", SequenceClassification(dataset=[one, wrong])
    )


def test_labels_in_lists_are_mapped_for_a_task_of_several_labels(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": List(Value("string"))})
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [["de", "fr"], []]}, features=features)
    rows.save_to_disk(str(tmp_path / "lists"))
    data = DatasetSource(path=str(tmp_path / "lists"), map={"label": {"de": "German", "fr": "French"}})
    task = MultiLabelClassification(dataset=data, validation_fraction=0.0)
    assert load_task("t", task).task.label_names == ["French", "German"]
