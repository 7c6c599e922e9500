"""A `datasets` builder for csv and tsv files that keeps every field as it is spelled.

datasets' own builder reads with pandas, which guesses the type of each column chunk by chunk: 007 becomes 7, NA and
None become missing values, and a row with too many fields shifts all columns. Here a column is text; what a task
reads as a number is converted once the whole column is known (`data/spelling.py`).
"""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.csv as pa_csv

from hf_mtl.data.columns import raise_all
from hf_mtl.data.file_bounds import too_many_columns
from hf_mtl.data.quotation_marks import OpenQuoteError, check_quotation_marks
from hf_mtl.errors import DataError, Mistake

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip", ".zst")

# The longest row that can be read. A stray quotation mark can join the rest of a file to one field.
_BLOCK_BYTES = 32 << 20
REPEATED = " (column {})"
_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


@dataclass
class CsvConfig(datasets.BuilderConfig):
    """The way in which csv files are written.

    Args:
        sep: Character between fields. None: a tab in files that end in .tsv, else a comma.
        quoting: ``minimal``: a field may be enclosed in double quotes. ``none``: quotes are text.
        encoding: Of the files.
        header: Whether the first line names the columns, or the names where no line does.
    """

    sep: str | None = None
    quoting: str = "minimal"
    encoding: str = "utf-8"
    header: bool | list[str] = True


class CsvReader(datasets.ArrowBasedBuilder):
    """Reads csv files, compressed or not; an empty field is a missing value, and any other is text.

    Raises:
        DataError: From ``download_and_prepare``, as the cause of what `datasets` raises, if a file does not hold
            the same columns in every row, or cannot be decoded.
    """

    BUILDER_CONFIG_CLASS: ClassVar[type] = CsvConfig

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo()

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        found = dl_manager.download_and_extract(self.config.data_files)
        generators = []
        for split, places in found.items():
            origins = self.config.data_files[split]
            # A zip archive becomes a folder of files.
            files = [(str(o), f) for o, p in zip(origins, places, strict=True) for f in dl_manager.iter_files(p)]
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"files": files}))
        return generators

    def _generate_tables(self, files: list[tuple[str, str]]) -> Iterator[tuple[int, pa.Table]]:
        first: tuple[str, list[str]] | None = None
        key = 0
        for origin, place in files:
            # The name says the separator: of a compressed file its own, of an archive's member the member's.
            said = place if origin.endswith(".zip") else origin
            for table in _read_tables(place, origin, separator(said, self.config.sep), self.config):
                first = first or (origin, table.column_names)
                if sorted(table.column_names) != sorted(first[1]):
                    raise DataError(_other_columns(first, (origin, table.column_names)))
                yield key, table.select(first[1])
                key += 1


def separator(file: str, given: str | None) -> str:
    """Return the character between the fields of a file: the one given, else what its name says."""
    if given is not None:
        return given
    return "\t" if plain_suffix(file) == ".tsv" else ","


def plain_suffix(file: str) -> str:
    """Return the extension of a file's name without that of its compression: ``.tsv`` for ``a.tsv.gz``."""
    path = PurePath(file.lower())
    return (path.with_suffix("") if path.suffix in COMPRESSIONS else path).suffix


def _read_tables(place: str, origin: str, sep: str, config: CsvConfig) -> Iterator[pa.Table]:
    wrong: list[Any] = []
    right = 0
    parse = pa_csv.ParseOptions(delimiter=sep, quote_char='"' if config.quoting == "minimal" else False)
    parse.newlines_in_values = config.quoting == "minimal"
    parse.invalid_row_handler = lambda row: _set_aside(row, wrong)
    _check_encoding(place, origin, config.encoding)
    raise_all(too_many_columns(place, "csv", sep))
    try:
        read = pa_csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=config.encoding)
        if config.header is not True:
            read.column_names = _given_names(place, parse, read, config.header)
        with pa_csv.open_csv(place, read, parse) as reader:
            header = reader.schema.names
        names = distinct_names(header)
        _check_separator(names, origin, sep)
        if config.quoting == "minimal":
            _check_quotes(place, origin, sep, config.encoding)
        wrong.clear()
        with pa_csv.open_csv(place, read, parse, _as_text(header)) as reader:
            for batch in reader:
                right += batch.num_rows
                yield pa.Table.from_batches([batch]).rename_columns(names)
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise DataError(_explain(error, place, origin, config)) from error
    if wrong and not right and isinstance(config.header, list):
        if wrong[0].actual_columns == 1:
            _check_separator([wrong[0].text], origin, sep)
        raise DataError(_misnamed(wrong[0], config.header, origin))
    if wrong:
        raise DataError(_ragged(wrong, len(names), (place, origin), sep))


def _set_aside(row: Any, wrong: list[Any]) -> str:
    """Keep a row with another number of fields for the message; a blank line is none."""
    if row.text.strip():
        wrong.append(row)
    return "skip"


def _given_names(place: str, parse: pa_csv.ParseOptions, read: pa_csv.ReadOptions, header: Any) -> list[str]:
    """Return the names of the columns of a file whose first line is a row: those given, or 0, 1, ..."""
    if header:
        return list(header)
    counting = pa_csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=read.encoding, autogenerate_column_names=True)
    with pa_csv.open_csv(place, counting, parse) as reader:
        return [str(index) for index in range(len(reader.schema.names))]


def _as_text(header: list[str]) -> pa_csv.ConvertOptions:
    return pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )


def distinct_names(header: list[str]) -> list[str]:
    """Make each name unique: one that comes again, or is empty, says its place."""
    names: list[str] = []
    for index, name in enumerate(header):
        name = name or f"Unnamed: {index}"
        names.append(f"{name}{REPEATED.format(index + 1)}" if name in names else name)
    return names


def repeated_columns(names: list[str], column: str) -> list[str]:
    """List further columns of a csv file that its header calls the same."""
    return [name for name in names if re.fullmatch(re.escape(column) + r" \(column \d+\)", name)]


def _check_separator(names: list[str], origin: str, sep: str) -> None:
    """Refuse a file that reads as one column because other characters separate its fields."""
    inside = [other for other in _SEPARATORS if other != sep and other in names[0]]
    if len(names) > 1 or not inside:
        return
    found = f"'{origin}', read with {_say(sep)} between fields, has the one column {names[0]!r}"
    raise DataError(Mistake("sep", found, f"It looks separated by {_say(inside[0])}: set sep: {_yaml(inside[0])}."))


def _check_quotes(place: str, origin: str, sep: str, encoding: str) -> None:
    """Refuse a quotation mark that is never closed: all that follows would be one field."""
    try:
        with suppress(UnicodeDecodeError):  # the reader says so
            check_quotation_marks(partial(open, place, "rb"), sep, encoding)
    except OpenQuoteError as error:
        remedy = "Close it, or set quoting: none if quotation marks are text."
        raise DataError(Mistake("quoting", f"'{origin}' {error}", remedy)) from error
    except csv.Error:
        pass  # a row that is too long for the reader too


def _check_encoding(place: str, origin: str, encoding: str) -> None:
    """Refuse an encoding that reads without an error and is wrong: UTF-16 or UTF-8 as something else."""
    with open(place, "rb") as file:
        start = file.read(1 << 20)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        found = f"'{origin}' begins as UTF-16 does, and is read as {encoding}"
        raise DataError(Mistake("encoding", found, "Set encoding: utf-16."))
    if "utf" in encoding.lower() or start.isascii():
        return
    # The last character may be cut.
    decoded = codecs.getincrementaldecoder("utf-8")()
    try:
        decoded.decode(start)
    except UnicodeDecodeError:
        return
    found = f"'{origin}' is UTF-8, and encoding: {encoding} would read two characters for one"
    raise DataError(Mistake("encoding", found, "Leave encoding out."))


def _explain(error: Exception, place: str, origin: str, config: CsvConfig) -> Mistake:
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in str(error):
        line = _undecoded_line(place, config.encoding)
        found = f"'{origin}' is not {config.encoding}{line}"
        return Mistake("encoding", found, "Set encoding: that of the file, such as cp1252 or latin-1.")
    if "straddling" in str(error):
        found = f"'{origin}' has a row of more than {_BLOCK_BYTES >> 20} MB"
        remedy = "If a quotation mark that is text joins its lines, set quoting: none."
        return Mistake("quoting", found, remedy)
    if "Empty CSV file" in str(error):
        return Mistake("", f"'{origin}' has no rows", "Every split needs rows.")
    return Mistake("", f"cannot read '{origin}' as csv: {str(error).splitlines()[0].rstrip('.')}")


def _undecoded_line(place: str, encoding: str) -> str:
    with open(place, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return f": line {number:,} holds the byte 0x{line[error.start]:02x}"
    return ""


def _ragged(wrong: list[Any], count: int, file: tuple[str, str], sep: str) -> Mistake:
    """Say which rows have more or fewer fields than the first line."""
    place, origin = file
    shown = "; ".join(
        f"{_line_of(row.text, place)}{_shorten(row.text)} has {row.actual_columns}" for row in wrong[:3]
    )
    rows = "1 row has" if len(wrong) == 1 else f"{len(wrong):,} rows have"
    found = f"'{origin}' has {count} columns, and {rows} another number of fields: {shown}"
    remedy = f"Put a field that holds {_say(sep)} in double quotes"
    joined = any("\n" in row.text for row in wrong)
    hint = ", or set quoting: none if quotation marks are text" if joined else ""
    return Mistake("", found, f"{remedy}{hint}.")


def _misnamed(row: Any, header: list[str], origin: str) -> Mistake:
    """Say that the names in ``header`` are not as many as the fields of any row."""
    found = f"names {len(header)}: {', '.join(header)}; and no row of '{origin}' has as many fields"
    return Mistake("header", found, f"The first has {row.actual_columns}: {_shorten(row.text)}. Name each field.")


def _line_of(text: str, place: str) -> str:
    wanted = text.splitlines()[0].encode()
    with open(place, "rb") as file:
        numbers = [number for number, line in enumerate(file, start=1) if line.rstrip(b"\r\n") == wanted]
    return f"line {numbers[0]:,}, " if numbers else ""


def _other_columns(first: tuple[str, list[str]], other: tuple[str, list[str]]) -> Mistake:
    found = f"'{first[0]}' has the columns {', '.join(first[1])}, and '{other[0]}' has {', '.join(other[1])}"
    return Mistake("", found, "Files of one split need the same columns.")


def _shorten(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _say(sep: str) -> str:
    return _SEPARATORS.get(sep, repr(sep))


def _yaml(sep: str) -> str:
    return '"\\t"' if sep == "\t" else f'"{sep}"'
