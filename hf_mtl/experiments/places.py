"""Places of the files of a study."""

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Names of the files of a study.

    Args:
        work: Folder of what its runs write, of claims and of figures; may be deleted when no run is at work.
        results: File of the finished runs.
        readme: The README that its report can write.
    """

    work: Path
    results: Path
    readme: Path

    def add_options(self, parser: ArgumentParser) -> None:
        """Let the places be named on the command line."""
        parser.add_argument("--work", type=Path, default=self.work)
        parser.add_argument("--results", type=Path, default=self.results)
        told = "let the report write its tables into the study's README, or into this file"
        parser.add_argument("--readme", type=Path, nargs="?", const=self.readme, help=told)
