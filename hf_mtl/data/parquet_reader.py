"""A `datasets` builder for parquet files that stops where a small file becomes very large.

A column of one value, or of a few, takes a few bytes however many rows it has, and all of them once it is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from datasets.fingerprint import Hasher
from datasets.packaged_modules.parquet.parquet import Parquet

from hf_mtl.data.file_bounds import most_bytes, too_large
from hf_mtl.errors import DataError

# At once: a group of rows may be millions, and is counted only once it is in memory.
_ROWS = 1000
_VERSION = Hasher.hash(Path(__file__).read_text(encoding="utf-8"))


class ParquetReader(Parquet):
    """Reads parquet files as `datasets` does, up to `most_bytes` of each.

    Raises:
        DataError: From ``download_and_prepare``, as the cause of what `datasets` raises, if a file becomes larger.
    """

    def _generate_tables(self, files: list[str], *rest: Any, **options: Any) -> Iterator[tuple[Any, pa.Table]]:
        for file in dict.fromkeys(files):
            if _announced(file) > most_bytes(Path(file).stat().st_size):
                raise DataError(too_large(file, "is read"))
        most, found = sum(most_bytes(Path(file).stat().st_size) for file in dict.fromkeys(files)), 0
        for key, table in super()._generate_tables(files, *rest, **options):
            found += table.nbytes
            if found > most:
                raise DataError(too_large(files[-1], "is read"))
            yield key, table


def read_parquet(files: list[str], split: str) -> Dataset:
    """Read the parquet files of one split.

    Args:
        files: Absolute paths, patterns or URLs.
        split: Its name.
    """
    builder = ParquetReader(dataset_name="parquet", data_files={split: files}, hash=_VERSION, batch_size=_ROWS)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _announced(file: str) -> int:
    """Return the bytes of a file's pages once they are decompressed, as the file says."""
    metadata = pq.read_metadata(file)
    return sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
