import pickle

import datasets
import pandas
import pytest

from hf_mtl.data.readers import READERS
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


class Touches:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def trap(tmp_path):
    """A pickle, and the file that it makes when it is read."""
    file, made = tmp_path / "rows.pkl", tmp_path / "made"
    file.write_bytes(pickle.dumps(Touches(made)))
    return file, made


def message(**source):
    with pytest.raises(DataError) as caught:
        load_source(DatasetSource(**source), "tasks.a.dataset")
    (mistake,) = caught.value.mistakes
    return str(mistake)


@pytest.mark.parametrize("reader", ["pandas", "webdataset", "imagefolder", "sql", "xml", "generator", "hdf5"])
def test_other_readers_are_refused_with_those_that_are_allowed(reader, trap):
    file, made = trap
    for files in ({"data_files": str(file)}, {}):
        text = message(path=reader, **files)
        assert f"tasks.a.dataset.path: '{reader}' is not read. Allowed: csv, json, parquet, arrow, text" in text
    assert not made.exists()


def test_a_pickle_is_not_read_by_the_readers_that_are_allowed(trap):
    file, made = trap
    for reader in READERS:
        message(path=reader, data_files=str(file))
    assert "extension '.pkl'" in message(path=str(file))
    assert not made.exists()
    pickle.loads(file.read_bytes()).close()
    assert made.exists()  # the trap works


def test_a_folder_that_another_reader_would_read_is_refused(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "rows.xml").write_text("<row><text>a</text></row>")
    text = message(path=str(tmp_path / "page"))
    assert "would be read by 'xml', which is not done" in text
    assert "Allowed: csv, json" in text


def test_a_folder_with_a_script_is_refused(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')")
    assert "is a script, which datasets no longer runs" in message(path=str(tmp_path / "mine"))
    assert "extension '.py'" in message(path=str(tmp_path / "mine" / "mine.py"))
    assert not (tmp_path / "made").exists()


def test_a_folder_that_is_called_like_a_reader_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pandas").mkdir()
    pandas.DataFrame({"text": ["a", "b"]}).to_json("pandas/train.jsonl", orient="records", lines=True)
    assert load_source(DatasetSource(path="pandas")).splits["train"]["text"][:] == ["a", "b"]


def test_arrow_and_text_files_are_read_as_formats_are(tmp_path):
    (tmp_path / "train.txt").write_text("a cat\na dog\n")
    (tmp_path / "dev.txt").write_text("a cow\n")
    files = {"train": str(tmp_path / "train.txt"), "dev": str(tmp_path / "dev.txt")}
    splits = load_source(DatasetSource(path="text", data_files=files)).splits
    assert {name: part["text"][:] for name, part in splits.items()} == {
        "train": ["a cat", "a dog"],
        "validation": ["a cow"],
    }
    datasets.Dataset.from_dict({"text": ["x"]}).save_to_disk(str(tmp_path / "saved"))
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    assert load_source(DatasetSource(path="arrow", data_files=str(arrow))).splits["train"]["text"][:] == ["x"]


def test_a_source_has_no_key_that_trusts_code():
    with pytest.raises(ValueError, match="trust_remote_code"):
        DatasetSource(path="user/data", trust_remote_code=True)
