"""Options of the commands that read no recipe, one function each."""

import argparse
import os
from typing import Any, TypeAlias

from hf_mtl.errors import Mistake, UserError

Commands: TypeAlias = "argparse._SubParsersAction[Any]"

_WRITTEN = (
    " Each row is written as it was read, in the same order, with columns such as emotion.label and emotion.score, "
    "and with error, which says why a row has no prediction. Of a line that is no row (broken JSON, more fields than "
    "columns) error has the number, and not all of it is written."
)


def _add(commands: Commands, name: str, text: str, more: str = "") -> argparse.ArgumentParser:
    """Add a command whose help is a sentence without its full stop, and ``more`` where it is asked for alone."""
    description = f"{text[0].upper()}{text[1:]}.{more}"
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, allow_abbrev=False
    )
    return parser


def _allow_code(parser: argparse.ArgumentParser) -> None:
    what = "import the plugins that the recipe of the run names, which have its own heads or types of task"
    parser.add_argument("--allow-code", action="store_true", help=what)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers`` to a command that runs trials."""
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="workers, which share the cores")


def refuse_workers(arguments: argparse.Namespace) -> None:
    """Refuse a number of workers that is none, or more than the machine can be meant to have.

    Raises:
        UserError: If it is one.
    """
    # With more than a core has threads for, every run only gets longer.
    most = max(64, 4 * (os.cpu_count() or 1))
    if not 1 <= arguments.workers <= most:
        raise UserError(Mistake("--workers", f"found {arguments.workers}", f"Allowed: 1 to {most}"))


def add_init(commands: Commands) -> None:
    """Add ``init``."""
    text = "look at data and write a recipe for them; every guess is said, and why"
    parser = _add(commands, "init", text)
    what = "files (csv, tsv, json, jsonl, parquet), folders, or ids of the Hub: user/name or user/name:configuration"
    # With a default, argparse knows that there may be none.
    parser.add_argument("data", nargs="*", default=[], metavar="DATA", help=what)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the recipe (default: recipe.yaml, or quickstart.yaml)"
    )
    parser.add_argument(
        "--backbone", metavar="NAME", help="Hub id, folder, or scratch: a small encoder from random weights"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the recipe where there is one")
    parser.add_argument(
        "--quickstart", action="store_true", help="write the recipe of the quickstart, which makes its own data"
    )


def add_predict(commands: Commands) -> None:
    """Add ``predict``."""
    text = "predict every row of a file: csv, jsonl or parquet, of any size"
    parser = _add(commands, "predict", text, _WRITTEN)
    _allow_code(parser)
    parser.add_argument("target", metavar="RUN", help="a run's folder, a checkpoint or another model, or a Hub id")
    columns = "columns that tasks read, such as tasks.emotion.text=body; of csv sep, quoting, encoding, header"
    # The file is among these, wherever it stands.
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="FILE key=value", help=f"the rows, or -; {columns}"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="csv, jsonl or parquet; left out: standard output")
    parser.add_argument("--tasks", metavar="A,B", help="the tasks to ask; left out: all")
    parser.add_argument("--probabilities", action="store_true", help="write the probabilities of all classes too")
    long = "cut texts that are too long, or average overlapping windows"
    parser.add_argument("--long", choices=("cut", "chunk"), default="cut", help=long)
    parser.add_argument("--resume", action="store_true", help="go on where predictions to --output were left")
    parser.add_argument("--overwrite", action="store_true", help="replace --output")
    parser.add_argument("--batch-tokens", type=count, metavar="N", help="tokens of a batch")
    parser.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1; left out: an accelerator if any")


def count(word: str) -> int:
    """Read a number of things on a command line, one at least."""
    if not word.strip().isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"found {word!r}; allowed: a whole number of at least 1")
    return int(word)


def add_export(commands: Commands) -> None:
    """Add ``export``."""
    text = "write a trained model for use without hf_mtl: as checkpoints of transformers, or as one ONNX graph"
    parser = _add(commands, "export", text)
    _allow_code(parser)
    parser.add_argument("run", metavar="RUN", help="folder of a run, of a checkpoint or of a model, or a Hub id")
    parser.add_argument("directory", metavar="DIR", help="folder to make; it must not be there, or be empty")
    parser.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="NAME",
        help="a task to export, may be repeated; default: all. One alone is a checkpoint in DIR, several in DIR/NAME",
    )
    parser.add_argument(
        "--format",
        default="transformers",
        choices=("transformers", "onnx"),
        help="an AutoModelFor... checkpoint for each task (default), or one graph for all (extra [onnx])",
    )
    parser.add_argument(
        "--quantize", choices=("int8",), help="of a graph: weights of 8 bits; says what that costs in score"
    )
    parser.add_argument(
        "--texts", metavar="FILE", help="compare predictions of the 8 bits on the lines of a file, in place of scores"
    )


def add_push(commands: Commands) -> None:
    """Add ``push``."""
    text = "push a trained model to the Hub, with its card, recipe and scores"
    parser = _add(commands, "push", text)
    _allow_code(parser)
    parser.add_argument("run", metavar="RUN", help="a run's folder, a checkpoint in it, or a joined model's folder")
    parser.add_argument("repo", metavar="REPO", help="the repository, owner/name; made if it is not there")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="push to this branch, made if it is not there")
    parser.add_argument(
        "--single",
        action="append",
        default=[],
        metavar="RUN",
        help="a run of one of the tasks alone, whose scores the card shows beside; may be given several times",
    )


def add_join(commands: Commands) -> None:
    """Add ``join``."""
    text = "put heads that were trained apart on one frozen encoder together in one model"
    parser = _add(commands, "join", text)
    _allow_code(parser)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, checkpoints or models, or Hub ids")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the joined model, a new one")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="give a task another name; where several runs have it, of the second: 2:OLD=NEW",
    )


def add_methods(commands: Commands) -> None:
    """Add ``methods``."""
    text = "list the balancing methods: sources, options, needs and costs; or say all about one"
    parser = _add(commands, "methods", text)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a weighting or an aggregator, such as uw or pcgrad")
