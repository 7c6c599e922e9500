"""How csv files are written, by a look at how they begin."""

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LOOKED_AT = 1 << 20  # bytes
_SEPARATORS = {";": "a semicolon", "|": "a bar", "\t": "a tab"}


def csv_looks(files: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """Guess the separator and the encoding of csv files where they are not the usual ones.

    Args:
        files: The files of one dataset; the first that is not compressed is looked at.

    Returns:
        Keys of a recipe's ``dataset``, and why they are there.
    """
    plain = [file for file in files if file.suffix.lower() in (".csv", ".tsv")]
    if not plain:
        return {}, []
    with plain[0].open("rb") as file:
        start = file.read(_LOOKED_AT)
    options: dict[str, Any] = {}
    why = []
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        options["encoding"] = "utf-16"
        why.append("The file begins as UTF-16 does.")
    try:
        # The last character may have been cut, which is no error before the end.
        text = codecs.getincrementaldecoder(options.get("encoding", "utf-8"))().decode(start)
    except UnicodeDecodeError:
        text = start.decode("cp1252", errors="replace")
        options["encoding"] = "cp1252"
        why.append("The file is not UTF-8; cp1252 (Windows) is a guess, as others look the same to a program.")
    first = (text.splitlines() or [""])[0]
    usual = "\t" if plain[0].suffix.lower() == ".tsv" else ","
    if usual not in first:
        found = max(_SEPARATORS, key=first.count)
        if found in first:
            options["sep"] = "tab" if found == "\t" else found
            why.append(
                f"Its first line has {_SEPARATORS[found]} between names, and no {'tab' if usual != ',' else 'comma'}."
            )
    return options, why
