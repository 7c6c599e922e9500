"""The report of a study: sentences and tables, for a terminal and for the study's README."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.experiments.statistics import mean_interval
from hf_mtl.reporting import markdown
from hf_mtl.reporting.tables import aligned

_MEASURED = "measured"
"""The part of a README that a report writes."""


@dataclass(frozen=True)
class Table:
    """Table: rows of cells, the first of each a name.

    Args:
        header: Names of the columns.
        rows: The cells.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Lay out for a terminal."""
        return aligned([self.header, *self.rows], left=1)

    def markdown(self) -> str:
        """Lay out for a document."""
        return markdown.table([self.header, *self.rows])


class Report:
    """Report: its parts, in their order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._documents: list[str] = []

    def add(self, part: str | Sequence[str] | Table, gap: int = 1, document: bool = True) -> None:
        """Add a part.

        Args:
            part: A sentence, a list of lines, or a table.
            gap: Empty lines before it on a terminal.
            document: Whether a document has it too.
        """
        if isinstance(part, Table):
            text, written = part.text(), part.markdown()
        elif isinstance(part, str):
            text = written = part
        else:
            text, written = "\n".join(part), "\n".join(f"- {line}" for line in part)
        self._texts.append("\n" * gap + text)
        if document:
            self._documents.append(written)

    def text(self) -> str:
        """Give the report for a terminal."""
        return "\n".join(self._texts)

    def markdown(self) -> str:
        """Give the report for a document."""
        return "\n\n".join(filter(None, self._documents))

    def write(self, readme: Path, written_by: str) -> None:
        """Write the report into the part ``measured`` of a README, which is made if it is missing.

        Args:
            readme: The file.
            written_by: The command that writes it.

        Raises:
            ValueError: If the README has no such part.
        """
        if not readme.exists():
            readme.parent.mkdir(parents=True, exist_ok=True)
            marks = f"<!-- {_MEASURED}: written by {written_by} -->\n<!-- end of {_MEASURED} -->"
            readme.write_text(f"# {readme.parent.name}\n\n{marks}\n", encoding="utf-8")
        markdown.write_parts(readme, {_MEASURED: self.markdown()})


def plus_minus(values: Sequence[float], digits: int = 2) -> str:
    """Show a mean and half of its 95% interval; the mean alone of one value."""
    interval = mean_interval(values)
    mean = f"{interval.mean:.{digits}f}"
    return mean if interval.n < 2 else f"{mean} ± {interval.high - interval.mean:.{digits}f}"
