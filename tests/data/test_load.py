import gc
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data import checked, load
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_task, load_tasks, prepare_dataset
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, RowFilter

XY = datasets.ClassLabel(names=["x", "y"])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def saved(folder: Path, name: str = "data", feature: object = None, **splits: dict[str, list]) -> DatasetSource:
    parts = {}
    for split, columns in splits.items():
        parts[split] = Dataset.from_dict(columns)
        if feature is not None:
            parts[split] = parts[split].cast_column("label", feature)
    datasets.DatasetDict(parts).save_to_disk(str(folder / name))
    return DatasetSource(path=str(folder / name))


def rows(labels: list, text: str = "text") -> dict[str, list]:
    return {text: [f"words {index}" for index in range(len(labels))], "label": labels}


def message(call: object, *args: object) -> str:
    with pytest.raises(DataError) as caught:
        call(*args)
    return str(caught.value)


def test_a_clean_dataset_loads_with_only_its_columns_and_without_notes(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(["a", "b"]) | {"extra": [1, 2]}, validation=rows(["b"]), test=rows(["a"]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert list(loaded.splits) == ["train", "validation", "test"]
    assert loaded.splits["train"][:] == rows(["a", "b"])
    assert (loaded.task.labels, loaded.notes) == (["a", "b"], [])


def test_a_task_without_labels_in_its_recipe_is_resolved_and_one_with_keeps_its_order(tmp_path: Path) -> None:
    source = saved(tmp_path, feature=XY, train=rows([0, 1]), validation=rows([1]))
    assert load_task("t", SequenceClassification(dataset=source)).task.labels == ["x", "y"]
    assert load_task("t", SequenceClassification(dataset=source, labels=["y", "x"])).task.labels == ["y", "x"]


def test_every_mistake_of_every_split_and_task_is_reported_at_once(tmp_path: Path) -> None:
    train = {"text": ["fine", " ", "", "fine"], "label": [0, 1, 5, 0]}
    first = saved(tmp_path, "one", train=train, validation=rows([9]))
    second = saved(tmp_path, "two", train=rows([0.5, float("nan")]), validation=rows([float("inf")]))
    third = saved(tmp_path, "three", train=rows([0, 1], text="sentence"))
    tasks = {
        "one": SequenceClassification(dataset=first, labels=3),
        "two": Regression(dataset=second),
        "three": SequenceClassification(dataset=third, label="lable"),
        "four": SequenceClassification(dataset=DatasetSource(path=str(tmp_path / "no.csv"))),
        "five": SequenceClassification(),
    }
    with pytest.raises(DataError) as caught:
        load_tasks(tasks)
    text = str(caught.value)
    for words in (
        "tasks.one.label: train has 1 row with labels outside 0..2: 5 (row 2",
        "tasks.one.text: train has 2 rows with empty text in column 'text': rows 1 and 2",
        "tasks.one.label: validation has 1 row with labels outside 0..2: 9",
        "tasks.two.label: train has 1 NaN target",
        "tasks.two.label: validation has 1 infinite target",
        "tasks.three.text: no column 'text' in train. Columns: label, sentence.",
        "tasks.three.label: no column 'lable' in train. Columns: label, sentence. Did you mean 'label'?",
        "tasks.four.dataset: no file or folder",
        "tasks.five.dataset: no dataset",
    ):
        assert words in text
    assert len(caught.value.mistakes) == 9


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


HOLE = datasets.ClassLabel(names=["low", "high", "never"])


@pytest.mark.parametrize("labels", [None, ["low", "high", "never"], 3])
def test_a_class_that_no_split_has_is_said_and_may_be_left_out(tmp_path: Path, labels: Any) -> None:
    source = saved(tmp_path, feature=HOLE, train=rows([0, 1, 1]), validation=rows([1, 0]))
    loaded = load_task("t", SequenceClassification(dataset=source, labels=labels))
    assert loaded.task.labels == ["low", "high", "never"]
    assert loaded.notes == [
        "t: train has no row of class 'never', which cannot be learned.",
        "t: no split has a row of class 'never'; labels may leave it out.",
    ]
    without = load_task("t", SequenceClassification(dataset=source, labels=["high", "low"]))
    assert (without.task.labels, without.notes) == (["high", "low"], [])
    assert encode_labels(without.task, "t", "train", without.splits["train"]).values.tolist() == [1, 0, 0]


def test_a_class_that_has_rows_is_not_left_out_by_labels_alone(tmp_path: Path) -> None:
    source = saved(tmp_path, feature=HOLE, train=rows([0, 1, 2]), validation=rows([1, 0]))
    task = SequenceClassification(dataset=source, labels=["low", "high"])
    text = message(load_task, "t", task)
    assert "train has 1 row with unknown labels 'never' (row 2" in text
    assert "Classes: high, low. A filter leaves out the rows of other classes." in text
    meant = source.model_copy(update={"filter": RowFilter(column="label", one_of=["low", "high"])})
    assert len(load_task("t", task.model_copy(update={"dataset": meant})).splits["train"]) == 2


@pytest.mark.parametrize(
    ("train", "others", "names"),
    [
        (["a", "b"], ["c", "b"], ["a", "b", "c"]),
        ([0, 1], [2, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ([0, 2], [1, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_class_that_only_another_split_has_is_one(
    tmp_path: Path, train: list, others: list, names: list, split: str
) -> None:
    splits = {"train": rows(train * 3), "validation": rows(train[:1]), split: rows(others)}
    loaded = load_task("t", SequenceClassification(dataset=saved(tmp_path, **splits)))
    assert loaded.task.labels == names
    only = ({0: "a", 1: "b", 2: "c"} if names[0] == "a" else {i: f"LABEL_{i}" for i in range(3)})[
        1 if train == [0, 2] else 2
    ]
    assert loaded.notes == [
        f"t: train has no row of class '{only}', which cannot be learned.",
        f"t: {split} has 1 row of class '{only}'; its scores count them.",
    ]


def test_of_a_row_without_a_label_in_test_no_class_is_made(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]), validation=rows([0]), test=rows([0, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert loaded.task.labels == ["LABEL_0", "LABEL_1"]
    assert loaded.notes == ["t: 1 of 2 test rows has no label and was dropped."]


@pytest.mark.parametrize(("train", "validation"), [(["a", "b"], ["A", "B"]), ([0, 1], [2, 3]), ([0, 1], [0, 7])])
def test_a_split_whose_labels_mean_something_else_is_a_mistake(tmp_path: Path, train: list, validation: list) -> None:
    source = saved(tmp_path, train=rows(train), validation=rows(validation))
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "tasks.t.label: validation has" in text
    assert "unknown labels" in text or "with labels outside 0..1" in text


def test_a_train_split_of_one_class_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(["a"] * 3), validation=rows(["a", "b"]))
    assert load_task("t", SequenceClassification(dataset=source)).notes == [
        "t: every train row is of class 'a'; there is nothing to learn.",
        "t: validation has 1 row of class 'b'; its scores count them.",
    ]


def test_texts_of_another_type_and_missing_ones_are_mistakes(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": [1, 2], "other": ["a", None], "label": [0, 1]})
    text = message(load_task, "t", SequenceClassification(dataset=source, text=["text", "other"]))
    assert "tasks.t.text: train column 'text' holds int64, not strings" in text
    assert "train has 1 row with empty text in column 'other': row 1" in text


def test_texts_that_json_takes_for_dates_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "2024-01-01", "label": 0}\n' * 4)
    text = message(
        load_task, "t", SequenceClassification(dataset=DatasetSource(path=str(tmp_path / "a.jsonl")), labels=2)
    )
    assert "tasks.t.text: train column 'text' holds timestamp[s], dates (as files of JSON give texts that" in text


def test_unknown_classes_do_not_hide_empty_texts(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": ["", "b"], "label": [3, 7]})
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "cannot tell the classes" in text
    assert "empty text" in text


def test_rows_without_a_label_are_dropped_with_a_count(tmp_path: Path) -> None:
    train = {"text": ["k0", "", "k2", "k3"], "label": [0, -1, None, 1]}
    source = saved(tmp_path, feature=XY, train=train, validation=rows([0, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert loaded.splits["train"]["text"][:] == ["k0", "k3"]
    assert loaded.notes == [
        "t: 2 of 4 train rows have no label and were dropped.",
        "t: 1 of 2 validation rows has no label and was dropped.",
    ]


def test_an_unlabelled_test_split_is_left_out_and_an_unlabelled_train_split_is_a_mistake(tmp_path: Path) -> None:
    source = saved(tmp_path, "one", XY, train=rows([0, 1]), validation=rows([1]), test=rows([-1, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert list(loaded.splits) == ["train", "validation"]
    assert loaded.notes == ["t: none of 2 test rows has a label; test is left out."]
    source = saved(tmp_path, "two", XY, train=rows([-1, -1]), validation=rows([1]))
    assert "none of 2 train rows has a label" in message(load_task, "t", SequenceClassification(dataset=source))


def test_validation_is_carved_by_text_seeded_and_said(tmp_path: Path) -> None:
    labels = [0] * 300 + [1] * 150 + [2]
    task = SequenceClassification(dataset=saved(tmp_path, train=rows(labels)), validation_fraction=0.2)
    loaded, again, other = (load_task("t", task, seed) for seed in (1, 1, 2))
    train, validation = loaded.splits["train"], loaded.splits["validation"]
    assert sorted(train["text"][:] + validation["text"][:]) == sorted(rows(labels)["text"])
    assert train["text"][:] == sorted(train["text"][:], key=lambda text: int(text.split()[1]))
    assert np.abs(np.bincount(validation["label"][:]) - [60, 30]).max() < 12
    assert again.splits["validation"][:] == validation[:]
    assert other.splits["validation"][:] != validation[:]
    assert loaded.notes == [
        f"t: no validation split, so {len(validation)} of 451 train rows became validation "
        "(validation_fraction 0.2, by a hash of the text, seed 1).",
        "t: no row of class 'LABEL_2' became validation.",
    ]


def test_a_row_stays_on_its_side_when_the_file_grows_or_is_another(tmp_path: Path) -> None:
    content = rows([0, 1] * 100)
    longer = {"text": ["new", *reversed(content["text"])], "label": [0, *reversed(content["label"])]}
    parts = [
        load_task("t", SequenceClassification(dataset=saved(tmp_path, name, train=train)))
        for name, train in (("short", content), ("long", longer))
    ]
    sides = [{text: split for split, part in item.splits.items() for text in part["text"]} for item in parts]
    assert sides[0].items() <= sides[1].items()
    assert set(sides[0].values()) == {"train", "validation"}


def test_a_test_split_is_carved_apart_from_the_fraction_of_validation(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 200))
    task = SequenceClassification(dataset=source, test_fraction=0.25)
    loaded = load_task("t", task)
    wider = load_task("t", task.model_copy(update={"validation_fraction": 0.5}))
    without = load_task("t", task.model_copy(update={"test_fraction": None}))
    texts = {split: set(part["text"]) for split, part in loaded.splits.items()}
    assert list(texts) == ["train", "validation", "test"]
    assert abs(len(texts["test"]) - 100) < 30
    assert texts["train"] | texts["validation"] | texts["test"] == set(source_texts(400))
    assert set(wider.splits["test"]["text"]) == texts["test"]
    assert set(without.splits["validation"]["text"]) == texts["validation"]
    assert "no test split, so" in loaded.notes[0]
    assert list(without.splits) == ["train", "validation"]


def source_texts(count: int) -> list[str]:
    return rows([0] * count)["text"]


def test_a_fraction_of_a_split_that_the_data_has_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]), validation=rows([1]), test=rows([0]))
    task = SequenceClassification(dataset=source, validation_fraction=0.3, test_fraction=0.3)
    assert load_task("t", task).notes == [
        "t: the data has a test split, so test_fraction is not used.",
        "t: the data has a validation split, so validation_fraction is not used.",
    ]


def test_fractions_that_leave_no_training_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0.6, and validation_fraction is 0.4: together less than 1"):
        SequenceClassification(validation_fraction=0.4, test_fraction=0.6)


def test_a_train_split_too_small_to_carve_is_one_mistake(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]))
    task = SequenceClassification(dataset=source, validation_fraction=0.01, test_fraction=0.01)
    assert message(load_task, "t", task) == (
        "tasks.t.test_fraction: of 2 train rows none falls to test or validation (test_fraction 0.01 and "
        "validation_fraction 0.01, by a hash of the text, seed 0). Change the fraction or training.data_seed, or "
        "give a test and a validation split."
    )
    text = message(load_task, "t", SequenceClassification(dataset=source, validation_fraction=0.999))
    assert "tasks.t.validation_fraction: of 2 train rows none falls to train (validation_fraction 0.999" in text


def test_rows_that_share_one_text_cannot_be_carved_and_it_is_said(tmp_path: Path) -> None:
    same = {"text": ["always the same"] * 40, "label": [0, 1] * 20}
    task = SequenceClassification(dataset=saved(tmp_path, train=same))
    assert "of 40 train rows with 1 different text none falls to" in message(load_task, "t", task)


def test_a_class_that_carving_takes_out_of_train_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0] * 50 + [1]))
    notes = load_task("t", SequenceClassification(dataset=source, validation_fraction=0.9)).notes
    assert notes[1:] == [
        "t: no row of class 'LABEL_1' is left in train: 1 row became validation (by a hash of the text, seed 0). "
        "Another training.data_seed may keep some; a validation split in the data does.",
        "t: every train row is of class 'LABEL_0'; there is nothing to learn.",
        "t: validation has 1 row of class 'LABEL_1'; its scores count them.",
    ]


def test_max_rows_moves_no_row_to_another_side(tmp_path: Path) -> None:
    task = SequenceClassification(dataset=saved(tmp_path, train=rows([0, 1] * 100)), test_fraction=0.2)
    whole, part = load_task("t", task), load_task("t", task.model_copy(update={"max_rows": 30}))
    for split in ("validation", "test"):
        assert part.splits[split][:] == whole.splits[split][:]
    assert set(part.splits["train"]["text"]) < set(whole.splits["train"]["text"])
    assert len(part.splits["train"]) == len(part.keys["train"].rows) == 30


def test_max_rows_is_a_seeded_draw_of_train_in_order(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 50), validation=rows([0, 1] * 50))
    task = SequenceClassification(dataset=source, max_rows=20)
    loaded, again = load_task("t", task, 4), load_task("t", task, 4)
    numbers = [int(text.split()[1]) for text in loaded.splits["train"]["text"]]
    assert len(numbers) == 20
    assert numbers == sorted(numbers)
    assert len(loaded.splits["validation"]) == 100
    assert loaded.splits["train"][:] == again.splits["train"][:]
    assert loaded.notes == ["t: 20 of 100 train rows are used (max_rows, seed 4)."]
    assert load_task("t", task.model_copy(update={"max_rows": 100})).notes == []


RARE = [0] * 500 + [1] * 40 + [2]


def test_classes_that_max_rows_loses_are_said_and_stratify_keeps_them(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(RARE), validation=rows([0, 1, 2]))
    task = SequenceClassification(dataset=source, max_rows=20)
    assert load_task("t", task).notes == [
        "t: 20 of 541 train rows are used (max_rows, seed 0).",
        "t: none of the rows that max_rows drew is of class 'LABEL_2'; stratify: true keeps a row of each class.",
        "t: train has no row of class 'LABEL_2', which cannot be learned.",
        "t: validation has 1 row of class 'LABEL_2'; its scores count them.",
    ]
    stratified = task.model_copy(update={"stratify": True})
    loaded = load_task("t", stratified)
    assert loaded.notes == ["t: 20 of 541 train rows are used (max_rows, stratified, seed 0)."]
    assert np.bincount(loaded.splits["train"]["label"][:]).tolist() == [18, 1, 1]
    numbers = [int(text.split()[1]) for text in loaded.splits["train"]["text"]]
    assert numbers == sorted(numbers)
    assert len(loaded.keys["train"].rows) == 20
    few = load_task("t", stratified.model_copy(update={"max_rows": 2})).notes
    assert few[1].endswith("is of class 'LABEL_1', 'LABEL_2'; raise it.")


def test_stratify_draws_targets_by_fifths_and_says_where_there_is_nothing_to_draw(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([float(index) for index in range(100)]), validation=rows([1.0, 2.0]))
    task = Regression(dataset=source, stratify=True)
    drawn = load_task("t", task.model_copy(update={"max_rows": 10})).splits["train"]["label"][:]
    assert np.bincount((np.array(drawn) // 20).astype(int)).tolist() == [2] * 5
    assert load_task("t", task).notes == [
        "t: stratify draws max_rows by class, and there is no max_rows; it is not used."
    ]


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
    unwanted = source.model_copy(update={"splits": {"train": None}})
    assert "no train split, only validation, test" in message(
        load_task, "t", SequenceClassification(dataset=unwanted, labels=10)
    )


def test_a_task_may_do_without_validation(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 30), validation=rows([7]))
    alone = source.model_copy(update={"splits": {"validation": None}})
    loaded = load_task("t", SequenceClassification(dataset=alone, validation_fraction=0))
    assert list(loaded.splits) == ["train"]
    assert len(loaded.splits["train"]) == 60
    assert loaded.notes == ["t: the split 'validation' is left out (splits: {validation: null})."]
    tested = load_task("t", SequenceClassification(dataset=alone, validation_fraction=0, test_fraction=0.3))
    assert list(tested.splits) == ["train", "test"]


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


def test_a_constant_target_is_a_note(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([2.5] * 3), validation=rows([1.0]))
    notes = load_task("t", Regression(dataset=source)).notes
    assert notes == ["t: the target 'label' is 2.5 in every train row; there is nothing to learn."]


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


def test_swallowed_rows_are_noted_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    text = "text,label\n" + "a,x\nb,y\n" * 4 + '"c,x\nd",y\n'
    assert "9 rows of 10 lines" in load_csv(tmp_path / "a.csv", text).notes[0]
    with pytest.raises(DataError) as caught:
        load_csv(tmp_path / "b.csv", text + ",x\n")
    assert "Rows are counted through" not in str(caught.value)


def test_an_in_memory_dataset_gets_the_same_checks(caplog: pytest.LogCaptureFixture) -> None:
    load.logger.warning_once.cache_clear()
    task = SequenceClassification(labels=["a", "b"])
    dataset = Dataset.from_dict(rows(["a", None, "b"]) | {"extra": [1, 2, 3]})
    assert prepare_dataset("t", task, dataset, "train")["label"][:] == ["a", "b"]
    assert "t: 1 of 3 train rows has no label and was dropped." in caplog.text
    text = message(prepare_dataset, "t", task, Dataset.from_dict({"text": ["", "x"], "label": ["a", "c"]}), "train")
    assert "unknown labels 'c'" in text
    assert "empty text" in text
    assert len(prepare_dataset("t", task, Dataset.from_dict(rows(["a"])), "train")) == 1
    assert "t: every train row is of class 'a'; there is nothing to learn." in caplog.text
    assert len(prepare_dataset("t", task, Dataset.from_dict(rows(["a"])), "validation")) == 1
    assert "none of 1 test row has a label" in message(
        prepare_dataset, "t", task, Dataset.from_dict(rows([None])), "test"
    )
    text = message(prepare_dataset, "t", task, Dataset.from_dict({"txt": []}), "train")
    assert "no column 'text' in train. Columns: txt. Did you mean 'txt'?" in text
    assert "no column 'label'" in text
    assert "train has no rows" in text
    assert "the train data is a list" in message(prepare_dataset, "t", task, [1], "train")


def test_labels_are_not_needed_for_prediction() -> None:
    task = SequenceClassification(labels=["a", "b"])
    dataset = Dataset.from_dict({"text": ["x"], "more": [1]})
    assert prepare_dataset("t", task, dataset, "test", labelled=False).column_names == ["text"]
    assert "empty text" in message(prepare_dataset, "t", task, Dataset.from_dict({"text": [" "]}), "test", False)


def test_what_was_loaded_is_not_checked_again_and_is_forgotten_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"text": [f"text {index}" for index in range(50)], "label": ["x", "y"] * 25}
    Dataset.from_dict(rows).to_csv(str(tmp_path / "a.csv"))
    source = DatasetSource(path="csv", data_files=str(tmp_path / "a.csv"))
    found = load_tasks({"t": SequenceClassification(dataset=source)})["t"]
    train, before = found.splits["train"], len(checked._found)
    monkeypatch.setattr(load, "check_rows", None)
    kept = load.prepare_rows("t", found.task, train, "train")
    assert len(kept.labels.values) == len(train) < 50
    del found, train, kept
    gc.collect()
    assert len(checked._found) == before - 2
