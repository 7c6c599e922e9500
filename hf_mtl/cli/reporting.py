"""The command `report`: tables and figures of a run, a study or a sweep, written again from its files alone."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.errors import Mistake, RecipeError, UserError

if TYPE_CHECKING:
    from hf_mtl.recipe.kinds import Kind


def add_report(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``report``.

    Args:
        commands: The commands of the parser.
    """
    text = "write the tables and figures of a run, a study or a sweep again, from its files alone"
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser("report", help=text, description=description, allow_abbrev=False)
    parser.add_argument(
        "run",
        metavar="RUN|STUDY|SWEEP",
        help="the folder of a run, a study or a sweep, or the file (YAML) of a study or a sweep",
    )
    parser.add_argument(
        "--readme", action="store_true", help="write what a study measured into the README.md of its folder too"
    )


def write_again(arguments: Namespace, say: Callable[[str], None]) -> None:
    """Write the report of a run, a study or a sweep, and print its tables.

    Args:
        arguments: The command's.
        say: Prints a text.

    Raises:
        UserError: If the folder is none of them; nothing is written.
    """
    folder, said = study_folder(Path(arguments.run))
    if (folder / "sweep.json").is_file():
        _refuse_readme(arguments, f"{folder} is a sweep")
        from hf_mtl.experiments.sweep.report import report_again

        say(f"{report_again(folder)}\n\nAll of it is in {folder}.")
        return
    if (folder / "results.jsonl").is_file():
        from hf_mtl.experiments.answer.report import write_report

        written = write_report(folder, arguments.readme, said)
        say(f"{written.text}\n\n{written.places}")
        return
    if not (folder / "results.json").is_file():
        problem = "no such file or folder"
        if folder.is_dir():
            problem = "holds no results of a run (results.json), a study (results.jsonl) or a sweep (sweep.json)"
        remedy = "Name the folder of a finished run, of a study that has begun, or of a sweep"
        raise UserError(Mistake("", f"{folder}: {problem}", f"{remedy}; what other commands write is theirs alone"))
    _refuse_readme(arguments, f"{folder} is a run")
    _report_run(folder, say)


def _refuse_readme(arguments: Namespace, what: str) -> None:
    if arguments.readme:
        raise UserError(Mistake("--readme", f"{what}, which has no README.md", "Leave it out"))


def study_folder(path: Path) -> tuple[Path, dict[str, Any] | None]:
    """Find the folder that a file means, of a study or a sweep: that of its results beside it, or ``output_dir``.

    Args:
        path: A folder, which is returned as it is, or the file.

    Returns:
        The folder, and what a study's file says, with what it extends; None of a sweep, and of a folder, which holds
        its study.

    Raises:
        UserError: If it is no such file.
    """
    if not path.is_file():
        return path, None
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(Mistake("", f"{path}: is no folder, and no YAML file", "Name the folder that it lies in"))
    from hf_mtl.experiments.compare.load import read_study

    if (found := _sweep_folder(path)) is not None:
        return found, None
    _refuse_recipe(path)
    said = read_study(path)
    return path.parent if (path.parent / "results.jsonl").is_file() else Path(said["output_dir"]), said


def _sweep_folder(path: Path) -> Path | None:
    """Return the folder of a sweep that has begun; None of any other file."""
    sweep, found = _read_as(path, "sweep")
    place = sweep.get("output_dir")
    folder = Path(place).expanduser() if isinstance(place, str) else None
    if folder is not None and (folder / "sweep.json").is_file():
        return folder
    if found == "sweep":
        raise UserError(Mistake("", f"{path}: is a sweep that has not begun", f"Run it: hf-mtl sweep {path}"))
    return None


def _refuse_recipe(path: Path) -> None:
    """Refuse a recipe, and name the folder of its run."""
    recipe, found = _read_as(path, "recipe")
    if found != "recipe":
        return
    training = recipe.get("training")
    place = training.get("output_dir") if isinstance(training, dict) else None
    such = f": hf-mtl report {place}" if isinstance(place, str) else ""
    raise UserError(Mistake("", f"{path}: is a recipe", f"Name the folder of its run{such}"))


def _read_as(path: Path, kind: "Kind") -> tuple[dict[str, Any], "Kind | None"]:
    """Read a file, with what it extends, and tell its kind; nothing where it is clearly of another, or unreadable."""
    from hf_mtl.recipe.extends import read_extended
    from hf_mtl.recipe.kinds import kind_of

    try:
        node = read_extended(path, [], kind)
    except RecipeError:
        return {}, None
    return node.plain(), kind_of(node)


def _report_run(folder: Path, say: Callable[[str], None]) -> None:
    from hf_mtl.reporting.tables import results_notes, results_table
    from hf_mtl.training import redraw_run

    results = redraw_run(folder)
    for split, scores in {"validation": results, **({"test": results["test"]} if "test" in results else {})}.items():
        say(f"\n{split}\n{results_table(scores, scores.get('baselines'))}\n\n{results_notes(scores)}")
    say(f"\nThe figures are in {folder / 'figures'}.")
