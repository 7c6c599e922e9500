"""The command `diagnose`: looks into the encoders of runs, writes what it found, and says it."""

import argparse
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SPLITS = ("train", "validation", "test")


def add_diagnose(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``diagnose``."""
    text = "look into the encoders of runs: how alike layers, tasks and runs are, what can be read off each layer"
    parser: argparse.ArgumentParser = commands.add_parser(
        "diagnose",
        help=text,
        usage="hf-mtl diagnose [options] RUN [RUN ...] [key=value ...]",
        description=f"{text[0].upper()}{text[1:]}.",
        allow_abbrev=False,
    )
    # Keys of a recipe are among them, wherever they stand.
    what = "folders or recipes of runs, checkpoints, or Hub ids; and keys of their recipes to replace, for other rows"
    parser.add_argument("runs", nargs="+", metavar="RUN", help=what)
    parser.add_argument("--split", default="validation", choices=_SPLITS, help="the rows that are compared")
    parser.add_argument(
        "--rows", type=int, default=500, metavar="N", help="rows of each task, and training rows for its probes (500)"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="diagnosis",
        metavar="DIR",
        help="folder for diagnosis.json and figures, a new one (default: diagnosis)",
    )
    parser.add_argument("--allow-code", action="store_true", help="run code that the recipes of the runs name")


def diagnose_command(arguments: Namespace, say: Callable[[str], None]) -> None:
    """Diagnose runs.

    Args:
        arguments: Those of the command.
        say: Prints the summary.

    Raises:
        UserError: If it was launched as several processes, there is no run, or the folder is not free.
    """
    from hf_mtl.cli import voice
    from hf_mtl.errors import Mistake, UserError
    from hf_mtl.experiments.diagnose import diagnose_runs, diagnosis_text, write_diagnosis
    from hf_mtl.inference.new_folder import check_free
    from hf_mtl.launched import refuse_several

    refuse_several("diagnose", "Start it as one: hf-mtl diagnose RUN")
    overrides = [word for word in arguments.runs if "=" in word and not os.path.exists(word)]
    runs = [word for word in arguments.runs if word not in overrides]
    if not runs:
        raise UserError(Mistake("RUN", "found keys alone", "Name one run or more: hf-mtl diagnose RUN"))
    check_free(Path(arguments.output), "--output")  # before anything takes long
    found = diagnose_runs(
        runs,
        overrides,
        split=arguments.split,
        rows=arguments.rows,
        allow_code=arguments.allow_code,
        say=lambda text: voice.say(f"{text} ...", sys.stderr),
    )
    files = write_diagnosis(found, Path(arguments.output))
    say(f"{diagnosis_text(found)}\n\nWritten to {arguments.output}: {', '.join(files)}")
