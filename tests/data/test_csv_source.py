"""Csv files as the source of a task: spelling, classes, headers."""

from pathlib import Path

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_task
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, RowFilter
from tests.data.rows import message

pytestmark = pytest.mark.usefixtures("own_cache")


def test_nan_in_a_csv_is_a_mistake_and_an_empty_field_is_no_label(tmp_path: Path) -> None:
    def load(lines: str) -> LoadedTask:
        (tmp_path / "a.csv").write_text(f"text,label\n{lines}")
        return load_task("t", Regression(dataset=DatasetSource(path=str(tmp_path / "a.csv"))))

    assert "'nan' (line 3" in message(load, "a,0.5\nb,nan\nc,1.0\n")
    assert "1 of 4 train rows has no label" in load("a,0.5\nb,\nNone,1.0\nd,2.0\n").notes[0]


def load_csv(path: Path, text: str, task: type = SequenceClassification, **options: object) -> LoadedTask:
    path.write_text(text)
    # The same rows to validate on: of a handful, carving would take a whole class.
    files = {"train": str(path), "validation": str(path)}
    return load_task("t", task(dataset=DatasetSource(path="csv", data_files=files), **options))


def test_texts_of_digits_and_labels_of_a_csv_keep_their_spelling(tmp_path: Path) -> None:
    lines = "".join(f"{index:03},{'007' if index % 2 else '010'}\n" for index in range(8))
    loaded = load_csv(tmp_path / "a.csv", f"text,label\n{lines}")
    assert loaded.task.labels == ["007", "010"]
    assert set(loaded.splits["train"]["text"][:]) == {f"{index:03}" for index in range(8)}
    loaded = load_csv(tmp_path / "b.csv", "text,label\n" + "a,None\nb,NA\nnull,None\nnan,NA\n")
    assert loaded.task.labels == ["NA", "None"]
    assert len(loaded.splits["train"]) == 4


@pytest.mark.parametrize(
    ("values", "labels", "names", "ids"),
    [
        (["0", "1"], None, ["LABEL_0", "LABEL_1"], [0, 1]),
        (["0", "1"], 2, 2, [0, 1]),
        (["1.0", "0.0"], ["no", "yes"], ["no", "yes"], [1, 0]),
        (["True", "False"], ["True", "False"], ["True", "False"], [0, 1]),
        (["true", "false"], None, ["false", "true"], [1, 0]),
    ],
)
def test_labels_of_a_csv_become_classes(
    tmp_path: Path, values: list, labels: object, names: object, ids: list
) -> None:
    lines = "".join(f"w {index},{values[index % 2]}\n" for index in range(8))
    loaded = load_csv(tmp_path / "a.csv", f"text,label\n{lines}", labels=labels)
    assert loaded.task.label_names == (names if isinstance(names, list) else ["LABEL_0", "LABEL_1"])
    for part in loaded.splits.values():
        wanted = [ids[int(text.split()[1]) % 2] for text in part["text"]]
        assert encode_labels(loaded.task, "t", "train", part).values.tolist() == wanted


def test_a_column_that_a_csv_names_twice_is_a_mistake_where_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="the header of train, validation names 'label' more than once. Rename one of them"
    ):
        load_csv(tmp_path / "a.csv", "text,label,label\na,x,y\nb,y,x\n")
    assert load_csv(tmp_path / "b.csv", "text,label,n,n\n" + "a,x,1,1\nb,y,1,1\n" * 2).task.labels == ["x", "y"]


def test_a_first_line_that_is_a_row_is_suspected(tmp_path: Path) -> None:
    assert "where it is a row, say header" in message(load_csv, tmp_path / "a.csv", "the day was good,1\na night,0\n")
    assert "where it is a row" not in message(load_csv, tmp_path / "b.csv", "txt,lable\na,1\nb,0\n")


def test_swallowed_rows_are_noted_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    text = "text,label\n" + "a,x\nb,y\n" * 4 + '"c,x\nd",y\n'
    assert "9 rows of 10 lines" in load_csv(tmp_path / "a.csv", text).notes[0]
    with pytest.raises(DataError) as caught:
        load_csv(tmp_path / "b.csv", text + ",x\n")
    assert "Rows are counted through" not in str(caught.value)


def typed_csv(path: Path, dtype: dict[str, str], lines: str, **options: object) -> LoadedTask:
    path.write_text(f"text,label,n\n{lines}")
    files = {"train": str(path), "validation": str(path)}
    source = DatasetSource(path="csv", data_files=files, dtype=dtype, filter=options.pop("filter", None))
    return load_task("t", SequenceClassification(dataset=source, **options))


def test_a_dtype_says_what_the_values_of_a_column_do_not_tell(tmp_path: Path) -> None:
    lines = "".join(f"w {index},{1 + index % 2},0{index}\n" for index in range(8))
    guessed = typed_csv(tmp_path / "a.csv", {}, lines, labels=3)
    assert guessed.labels["train"].values.tolist()[:2] == [1, 2]
    named = typed_csv(tmp_path / "a.csv", {"label": "string"}, lines)
    assert named.task.label_names == ["1", "2"]
    assert named.labels["train"].values.tolist()[:2] == [0, 1]
    ids = typed_csv(tmp_path / "b.csv", {"label": "int"}, lines.replace(",2,", ",+02,"), labels=3)
    assert ids.labels["train"].values.tolist()[:2] == [1, 2]
    for dtype, kept in (("string", "03"), ("int", 3), ("float", 3.0)):
        item = RowFilter(column="n", equals=kept)
        found = typed_csv(tmp_path / "a.csv", {"n": dtype}, lines, labels=3, filter=item)
        assert found.splits["train"]["text"][:] == ["w 3"]
    truth = "".join(f"w {index},{1 + index % 2},{'TRUE' if index == 3 else 'false'}\n" for index in range(8))
    item = RowFilter(column="n", equals=True)
    found = typed_csv(tmp_path / "c.csv", {"n": "bool", "text": "string"}, truth, labels=3, filter=item)
    assert found.splits["train"]["text"][:] == ["w 3"]


def test_a_dtype_that_does_not_fit_is_said_with_its_rows_and_all_at_once(tmp_path: Path) -> None:
    dtype = {"label": "int", "text": "float", "lable": "string"}
    with pytest.raises(DataError) as caught:
        typed_csv(tmp_path / "a.csv", dtype, "a,1,x\nb,one,x\nc,1.5,x\nd,,x\n")
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        *(
            f"tasks.t.dataset.dtype.label: {split} holds 'one', '1.5', which are no int: rows 1 and 2, "
            "counted from 0. Mend them, or name another dtype."
            for split in ("train", "validation")
        ),
        "tasks.t.dataset.dtype.text: is 'float', and the task reads the column as text. Allowed: string.",
        "tasks.t.dataset.dtype.lable: no column 'lable'. Columns: label, n, text. Did you mean 'label'?",
    ]


def test_a_dtype_is_refused_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n')
    source = DatasetSource(path=str(tmp_path / "a.jsonl"), dtype={"label": "int"})
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "dataset.dtype: " in text
    assert "It is an option of csv files." in text
