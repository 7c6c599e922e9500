import json
from pathlib import Path

import datasets
import pandas
import pytest

from hf_mtl.data import sources
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource

ROWS = {"text": ["a cat", "a dog", "None"], "label": ["x", "y", "x"]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def write(path: Path) -> str:
    frame = pandas.DataFrame(ROWS)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(frame.to_dict("records")))
    else:
        frame.to_json(path, orient="records", lines=True)
    return str(path)


def splits_of(source: DatasetSource, key: str = "dataset") -> dict[str, datasets.Dataset]:
    return load_source(source, key).splits


def message(source: DatasetSource) -> str:
    with pytest.raises(DataError) as caught:
        splits_of(source, "tasks.a.dataset")
    return str(caught.value)


@pytest.mark.parametrize("extension", ["csv", "json", "jsonl", "parquet"])
def test_a_local_file_is_train(tmp_path: Path, extension: str) -> None:
    splits = splits_of(DatasetSource(path=write(tmp_path / f"rows.{extension}")))
    assert {split: part[:] for split, part in splits.items()} == {"train": ROWS}


def test_data_files_name_their_splits(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.csv"), write(tmp_path / "two.csv")
    assert list(splits_of(DatasetSource(path="csv", data_files=one))) == ["train"]
    assert len(splits_of(DatasetSource(path="csv", data_files=[one, two]))["train"]) == 6
    named = splits_of(DatasetSource(path="csv", data_files={"train": [one, two], "dev": one}))
    assert {split: len(part) for split, part in named.items()} == {"train": 6, "validation": 3}


def test_splits_of_data_files_may_differ_in_columns(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,1\nb,2\n")
    (tmp_path / "test.csv").write_text("text,label,extra\na,1.5,x\n")
    files = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    assert splits_of(DatasetSource(path="csv", data_files=files))["test"][:] == {
        "text": ["a"],
        "label": ["1.5"],
        "extra": ["x"],
    }


def test_folders_of_files_and_of_save_to_disk_load(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write(tmp_path / "files" / "train.csv")
    write(tmp_path / "files" / "dev.csv")
    loaded = splits_of(DatasetSource(path=str(tmp_path / "files")))
    assert {split: part["text"][:] for split, part in loaded.items()} == {
        "train": ROWS["text"],
        "validation": ROWS["text"],
    }
    dataset = datasets.Dataset.from_dict(ROWS)
    dataset.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(str(tmp_path / "two"))
    assert list(splits_of(DatasetSource(path=str(tmp_path / "one")))) == ["train"]
    assert list(splits_of(DatasetSource(path=str(tmp_path / "two")))) == ["train", "test"]


def test_splits_are_renamed_and_a_claimed_one_is_not_used_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv")
    source = DatasetSource(
        path="csv", data_files={"training": file, "test": file, "other": file}, splits={"validation": "test"}
    )
    assert list(splits_of(source)) == ["train", "validation"]
    assert load_source(source).notes == (
        "the split 'other' is not used; splits: {train: ..., validation: ..., test: ...} says which is which.",
    )
    every = DatasetSource(path="csv", data_files={"train": file, "valid": file, "tst": file, "dev": file})
    assert [note.split(";")[0] for note in load_source(every).notes] == ["the splits 'valid', 'tst' are not used"]
    assert load_source(DatasetSource(path="csv", data_files={"train": file, "dev": file})).notes == ()


def test_null_leaves_a_split_out_whatever_it_is_called_or_holds(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv")
    (tmp_path / "broken.csv").write_text('text,label\n"x')
    files = {"train": file, "dev": str(tmp_path / "broken.csv"), "test": str(tmp_path / "nowhere.csv"), "more": file}
    found = load_source(DatasetSource(path="csv", data_files=files, splits={"validation": None, "test": None}))
    assert list(found.splits) == ["train"]
    assert [note.split(";")[0] for note in found.notes] == [
        "the split 'dev' is left out (splits: {validation: null}).",
        "the split 'test' is left out (splits: {test: null}).",
        "the split 'more' is not used",
    ]
    other = DatasetSource(path="csv", data_files={**files, "test": file}, splits={"validation": "test", "test": None})
    assert list(splits_of(other.model_copy(update={"data_files": {"train": file, "test": file}}))) == [
        "train",
        "validation",
    ]
    assert load_source(DatasetSource(path="csv", data_files=file, splits={"test": None})).notes == ()
    text = message(DatasetSource(path="csv", data_files=file, splits={"train": None}))
    assert "has no split train, validation or test that splits does not leave out" in text


def test_generators_are_found_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.Dataset.from_dict(ROWS)
    monkeypatch.setitem(sources.GENERATORS, "made/up", lambda name: {"train": dataset.add_column("n", [name] * 3)})
    assert splits_of(DatasetSource(path="made/up", name="topic"))["train"]["n"][:] == ["topic"] * 3
    assert "tasks.a.dataset.name: 'made/up' makes several" in message(DatasetSource(path="made/up"))


def test_the_support_desk_says_which_names_it_knows() -> None:
    text = message(DatasetSource(path="hf_mtl/support_desk", name="topick"))
    assert text.startswith("tasks.a.dataset.name: ")
    assert "Did you mean 'topic'?" in text


def test_what_only_the_hub_has_is_refused_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,1\n")
    source = DatasetSource(path="csv", data_files=str(path), name="x", revision="main")
    with pytest.raises(DataError) as error:
        load_source(source)
    assert str(error.value).splitlines() == [
        "dataset.revision: 'csv' is not of the Hub and has no revisions. Leave it out.",
        "dataset.name: 'csv' has no configurations. Leave it out.",
    ]
    with pytest.raises(DataError, match=r"dataset\.revision: '.*a\.csv' is not of the Hub"):
        load_source(DatasetSource(path=str(path), revision="main"))


def test_missing_files_are_named_in_full_with_their_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "train.csv")
    files = {"train": str(tmp_path / "trian.csv"), "test": str(tmp_path / "nowhere" / "x.csv")}
    text = message(DatasetSource(path="csv", data_files=files))
    assert f"tasks.a.dataset.data_files: no file or folder '{tmp_path / 'trian.csv'}'" in text
    assert f"In '{tmp_path}' there is: train.csv." in text
    assert f"'{tmp_path / 'nowhere' / 'x.csv'}'" in text
    assert f"no file or folder '{tmp_path / 'no.parquet'}'" in message(
        DatasetSource(path=str(tmp_path / "no.parquet"))
    )


def test_unreadable_empty_and_unknown_files_say_which_split(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": "a"\n{"text": "b"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    files = {"train": str(tmp_path / "broken.jsonl"), "test": str(tmp_path / "empty.jsonl")}
    text = message(DatasetSource(path="json", data_files=files))
    assert f"cannot read train as json from '{files['train']}'" in text
    assert f"test has no rows: '{files['test']}'" in text
    (tmp_path / "head.csv").write_text("text,label\n")
    assert "train has no rows" in message(DatasetSource(path=str(tmp_path / "head.csv")))
    (tmp_path / "rows.xml").write_text("")
    assert "Known extensions: .csv, .json, .jsonl, .parquet, .tsv" in message(
        DatasetSource(path=str(tmp_path / "rows.xml"))
    )
    assert "'csv' is a format and needs files" in message(DatasetSource(path="csv"))


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    assert "cannot load" in message(DatasetSource(path=str(tmp_path)))


def test_unknown_splits_and_configurations_list_the_known_ones(tmp_path: Path) -> None:
    file = write(tmp_path / "train.csv")
    text = message(DatasetSource(path=file, splits={"train": "trian", "test": "tset"}))
    assert "tasks.a.dataset.splits.train" in text
    assert "Its splits: train. Did you mean 'train'?" in text
    assert "tasks.a.dataset.splits.test" in text
    text = message(DatasetSource(path="csv", data_files={"foo": file}))
    assert "no split train, validation or test. Its splits: foo" in text
    assert "unknown configuration 'no'" in message(DatasetSource(path=str(tmp_path), name="no"))


def test_a_hub_id_offline_says_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = message(DatasetSource(path="nobody/nothing", name="topic"))
    assert text.startswith("tasks.a.dataset: cannot load 'nobody/nothing' (configuration 'topic'): offline")
    assert "Unset HF_HUB_OFFLINE" in text
    assert "local file or folder" in text
