"""The command `report`: tables and figures of a run or a study, written again from its files alone."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, UserError


def add_report(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``report``.

    Args:
        commands: The commands of the parser.
    """
    text = "write the tables and figures of a run or a study again, from its files alone"
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser("report", help=text, description=description, allow_abbrev=False)
    parser.add_argument("run", metavar="RUN|STUDY", help="a run's folder, a study's, or the study's YAML file")
    parser.add_argument(
        "--readme", action="store_true", help="write what a study measured into the README.md of its folder too"
    )


def write_again(arguments: Namespace, say: Callable[[str], None]) -> None:
    """Write the report of a run or of a study, and print its tables.

    Args:
        arguments: The command's.
        say: Prints a text.

    Raises:
        UserError: If the folder is neither.
    """
    folder, said = study_folder(Path(arguments.run))
    if (folder / "results.jsonl").is_file():
        from hf_mtl.experiments.answer.report import write_report

        written = write_report(folder, arguments.readme, said)
        say(f"{written.text}\n\nThe report is {written.page}.")
        return
    if not (folder / "results.json").is_file():
        problem = f"{folder}: holds no results, neither of a run (results.json) nor of a study (results.jsonl)"
        raise UserError(Mistake("", problem, "Name the folder of a finished run, or of a study that has begun"))
    if arguments.readme:
        raise UserError(Mistake("--readme", f"{folder} is a run, which has no README.md", "Leave it out"))
    _report_run(folder, say)


def study_folder(path: Path) -> tuple[Path, dict[str, Any] | None]:
    """Find the folder that a study's file means: that of its results beside it, or else its ``output_dir``.

    Args:
        path: A folder, which is returned as it is, or a study's file.

    Returns:
        The folder, and what the file says, with what it extends; None of a folder, which holds its study.

    Raises:
        RecipeError: If the file is no study.
    """
    if not path.is_file():
        return path, None
    from hf_mtl.experiments.compare.load import read_study

    said = read_study(path)
    return path.parent if (path.parent / "results.jsonl").is_file() else Path(said["output_dir"]), said


def _report_run(folder: Path, say: Callable[[str], None]) -> None:
    from hf_mtl.reporting.tables import results_notes, results_table
    from hf_mtl.training import redraw_run

    results = redraw_run(folder)
    for split, scores in {"validation": results, **({"test": results["test"]} if "test" in results else {})}.items():
        say(f"\n{split}\n{results_table(scores, scores.get('baselines'))}\n\n{results_notes(scores)}")
    say(f"\nThe figures are in {folder / 'figures'}.")
