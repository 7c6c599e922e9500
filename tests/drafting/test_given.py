"""What arguments mean: splits by the names of files, folders, saved datasets, ids of the Hub."""

from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from hf_mtl.drafting.given import read_arguments
from hf_mtl.errors import Mistake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("text,label\nw1,a\n")


def splits(word: str | list[str]) -> list[tuple[str, dict[str, object]]]:
    given = read_arguments([word] if isinstance(word, str) else word, [])
    found = []
    for item in given:
        files = item.source["data_files"]
        named = {split: [Path(p).name for p in ([x] if isinstance(x, str) else x)] for split, x in files.items()}
        found.append((item.name, named))
    return found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/train.csv", "a/dev.csv", "a/test.csv"], [("a", {"train": 1, "validation": 1, "test": 1})]),
        (["x/nli_train.csv", "x/nli_val.csv"], [("nli", {"train": 1, "validation": 1})]),
        (["x/train-00000-of-00002.csv", "x/train-00001-of-00002.csv"], [("x", {"train": 2})]),
        (["x/test.csv"], [("test", {"train": 1})]),
        (["x/one.csv", "x/two.csv"], [("one", {"train": 1}), ("two", {"train": 1})]),
        (["x/latest.csv"], [("latest", {"train": 1})]),
        (["x/a-train.csv.gz", "x/a-valid.csv.gz"], [("a", {"train": 1, "validation": 1})]),
    ],
)
def test_names_of_files_say_which_belong_together(
    names: list[str], expected: list[tuple[str, dict[str, int]]], folder: Path
) -> None:
    made(*names)
    for word in (names, "x" if names[0].startswith("x") else "a"):
        found = [
            (name or "test", {split: len(files) for split, files in named.items()}) for name, named in splits(word)
        ]
        assert found == expected


def test_a_folder_of_folders_is_one_dataset_each(folder: Path) -> None:
    made("all/a/train.csv", "all/a/test.csv", "all/b/train.csv", "all/b/.hidden.csv")
    assert [name for name, _ in splits("all")] == ["a", "b"]


def test_a_saved_dataset_is_read_as_it_is(folder: Path) -> None:
    DatasetDict({"train": Dataset.from_dict({"text": ["w1"]})}).save_to_disk("saved")
    [given] = read_arguments(["saved"], [])
    assert given.source == {"path": str(folder / "saved")}
    assert given.relative_to(folder) == {"path": "./saved"}


def test_an_id_of_the_hub_may_name_a_configuration() -> None:
    [given] = read_arguments(["user/data:english"], [])
    assert given.source == {"path": "user/data", "name": "english"}
    assert given.name == "english"


def test_everything_that_is_missing_is_said_at_once(folder: Path) -> None:
    made("a.xlsx", "train.csv")
    Path("none").mkdir()
    mistakes: list[Mistake] = []
    assert len(read_arguments(["trian.csv", "a.xlsx", "none", "train.csv"], mistakes)) == 1
    assert len(mistakes) == 3
    said = " ".join(map(str, mistakes))
    assert "trian.csv'. In " in said
    assert "there is: train.csv" in said
    assert "cannot tell the format of" in said
    assert "no data in the folder" in said
