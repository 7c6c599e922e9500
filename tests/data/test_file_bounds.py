import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_mtl.data import file_bounds
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource

CSV = b"text,label\n" + b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,1\n" * 30_000  # 1.3 MB


@pytest.fixture(autouse=True)
def _small_bounds(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte in the place of a gigabyte."""
    monkeypatch.setattr(file_bounds, "_AS_LARGE_AS", 1 << 20)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def _zip(data: bytes) -> bytes:
    path = Path("made.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    return path.read_bytes()


def _zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip", "a.csv.zst", "a.csv", "a.jsonl"])
def test_a_bomb_is_refused_before_it_is_unpacked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack: dict[str, Callable[[bytes], bytes]] = {"bz2": bz2.compress, "xz": lzma.compress, "zip": _zip, "zst": _zstd}
    # datasets unpacks what begins as a gzip file does, whatever it is called.
    (tmp_path / name).write_bytes(pack.get(name.rpartition(".")[2], gzip.compress)(CSV))
    for source in (
        DatasetSource(path=str(tmp_path / name)),
        DatasetSource(path="json" if "json" in name else "csv", data_files={"train": str(tmp_path / "a.*")}),
    ):
        with pytest.raises(DataError) as caught:
            load_source(source)
        assert "and more than 1,048,576 once it is decompressed" in str(caught.value)


def test_an_honest_compressed_file_is_read(tmp_path: Path) -> None:
    rows = "".join(f"{number * 7919 % 1000003} {number**3},{number % 2}\n" for number in range(100_000))
    data = gzip.compress(b"text,label\n" + rows.encode())
    (tmp_path / "a.csv.gz").write_bytes(data)
    assert len(rows) > 1 << 20
    assert len(load_source(DatasetSource(path=str(tmp_path / "a.csv.gz"))).splits["train"]) == 100_000


def test_a_parquet_file_of_one_repeated_text_is_refused_while_it_is_read(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * 1000]))
    pq.write_table(pa.table({"text": texts, "label": pa.array([0] * 50_000)}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="once it is read"):
        load_source(DatasetSource(path=str(tmp_path / "a.parquet")))


def test_a_parquet_file_of_one_large_page_is_refused_by_what_it_says(tmp_path: Path) -> None:
    table = pa.table({"text": ["x" * 4_000_000], "label": [0]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match="once it is read"):
        load_source(DatasetSource(path="parquet", data_files=str(tmp_path / "a.parquet")))


def test_an_honest_parquet_file_is_read_whole_and_in_order(tmp_path: Path) -> None:
    texts = [f"{number * 7919 % 1000003} and {number**3}" for number in range(60_000)]
    pq.write_table(pa.table({"text": texts, "label": [0, 1] * 30_000}), tmp_path / "a.parquet", row_group_size=7000)
    rows = load_source(DatasetSource(path=str(tmp_path / "a.parquet"))).splits["train"]
    assert list(rows["text"]) == texts


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_pipes_and_devices_are_no_files_of_data(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe.{suffix}")
    (tmp_path / f"zero.{suffix}").symlink_to("/dev/zero")
    for name, said in ((f"pipe.{suffix}", "is a pipe"), (f"zero.{suffix}", "is a device")):
        for source in (
            DatasetSource(path=str(tmp_path / name)),
            DatasetSource(path=suffix, data_files={"train": str(tmp_path / name)}),
        ):
            with pytest.raises(DataError, match=f"{said}, not a file"):
                load_source(source)


def test_columns_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(["text", "label", *(f"c{number}" for number in range(20_000))]) + "\n")
    # Every key is a column, with a place in every row.
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "a", "k{number}": 1}}\n' for number in range(20_000)))
    for name, said in (("a.csv", "20,002 columns"), ("a.jsonl", "20,001 different keys")):
        with pytest.raises(DataError, match=said):
            load_source(DatasetSource(path=str(tmp_path / name)))
