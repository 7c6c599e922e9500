"""Sources of a task put together: splits, filters, and how rows are counted after them."""

from pathlib import Path

import pandas
import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data.load import load_task
from hf_mtl.tasks import DatasetSource, RowFilter
from tests.data.rows import XY, message, rows, saved

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_split_without_rows_is_a_mistake(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]), validation={"text": [], "label": []})
    assert "tasks.t.dataset: a split saved in" in message(load_task, "t", SequenceClassification(dataset=source))
    folder = tmp_path / "folder"
    folder.mkdir()
    pandas.DataFrame(rows([0, 1])).to_parquet(folder / "train.parquet")
    pandas.DataFrame({"text": [], "label": []}).to_parquet(folder / "test.parquet")
    files = {"train": str(folder / "train.parquet"), "test": str(folder / "test.parquet")}
    text = message(load_task, "t", SequenceClassification(dataset=DatasetSource(path="parquet", data_files=files)))
    assert "test has no rows: " in text
    assert "Every split needs rows. splits: {test: null} leaves it out." in text


def test_splits_that_are_not_wanted_are_left_out(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 30), validation=rows([7]), test=rows([9]))
    wanted = source.model_copy(update={"splits": {"validation": None, "test": None}})
    loaded = load_task("t", SequenceClassification(dataset=wanted, validation_fraction=0.2))
    assert list(loaded.splits) == ["train", "validation"]
    count = len(loaded.splits["validation"])
    assert loaded.notes == [
        "t: the split 'validation' is left out (splits: {validation: null}).",
        "t: the split 'test' is left out (splits: {test: null}).",
        f"t: no validation split, so {count} of 60 train rows became validation (validation_fraction 0.2, by a hash "
        "of the text, seed 0).",
    ]
    # Rows to score alone, as of a task that is kept; a recipe refuses them for others.
    scored = source.model_copy(update={"splits": {"train": None}})
    loaded = load_task("t", SequenceClassification(dataset=scored, labels=10))
    assert list(loaded.splits) == ["validation", "test"]


def test_sources_are_concatenated_per_split_whatever_their_format(tmp_path: Path) -> None:
    pandas.DataFrame(rows(["a", "b"])).to_csv(tmp_path / "a.csv", index=False)
    pandas.DataFrame(rows(["b", "c"]) | {"extra": [1, 2]}).to_parquet(tmp_path / "b.parquet")
    files = DatasetSource(path="csv", data_files=str(tmp_path / "a.csv"))
    other = DatasetSource(path=str(tmp_path / "b.parquet"))
    third = saved(tmp_path, validation=rows(["a"]))
    loaded = load_task("t", SequenceClassification(dataset=[files, other, third]))
    assert loaded.splits["train"]["label"][:] == ["a", "b", "b", "c"]
    assert loaded.splits["validation"]["label"][:] == ["a"]


def test_sources_that_do_not_fit_together_are_mistakes(tmp_path: Path) -> None:
    sources = [saved(tmp_path, "one", train=rows([0, 1])), saved(tmp_path, "two", XY, train=rows([0, 1]))]
    text = message(load_task, "t", SequenceClassification(dataset=sources))
    assert (
        "tasks.t.dataset.1: train column 'label' holds ClassLabel(names=['x', 'y']) here and Value('int64')" in text
    )


def test_filters_are_counted_and_row_numbers_say_that_they_come_after(tmp_path: Path) -> None:
    labels = {"text": ["a", "b", "c"], "label": [[0], [0, 1], [1]]}
    source = saved(tmp_path, train=labels, validation=labels)
    source = source.model_copy(update={"filter": RowFilter(column="label", length=1)})
    loaded = load_task("t", SequenceClassification(dataset=source, labels=2))
    assert loaded.splits["train"]["text"][:] == ["a", "c"]
    assert loaded.notes[0] == "t: the filter keeps 2 of 3 train rows."
    text = message(load_task, "t", SequenceClassification(dataset=source, labels=["5", "0"]))
    assert "unknown labels 1 (row 1, counted from 0)" in text
    assert "Rows are counted through all sources, after their filters." in text
    source = source.model_copy(update={"filter": RowFilter(column="text", equals="z")})
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "tasks.t.dataset.filter: the filter on text keeps none of 3 train rows" in text


def test_fields_of_columns_can_be_joined(tmp_path: Path) -> None:
    rows = [{"doc": {"title": f"k{row}", "body": f"w{row}"}, "label": row % 2} for row in range(4)]
    Dataset.from_list(rows).to_json(str(tmp_path / "rows.jsonl"))
    source = DatasetSource(
        path="json", data_files=str(tmp_path / "rows.jsonl"), concat={"text": "{doc.title}: {doc.body}"}
    )
    loaded = load_task("t", SequenceClassification(dataset=source, validation_fraction=0))
    assert loaded.splits["train"]["text"][:2] == ["k0: w0", "k1: w1"]
