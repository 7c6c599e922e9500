"""The command `hf-mtl`: reads arguments, calls one function, turns a mistake into a message and an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, NoReturn

from hf_mtl import __version__
from hf_mtl.cli import streams, voice
from hf_mtl.errors import HfMtlError, Interrupted, Stopped, UserError, one_line
from hf_mtl.launched import launched
from hf_mtl.shown import shown

_EPILOG = """\
examples:
  hf-mtl plan recipes/quickstart.yaml
  hf-mtl train recipes/quickstart.yaml
  hf-mtl train recipes/quickstart.yaml training.max_steps=50 training.output_dir=runs/short
  hf-mtl evaluate runs/quickstart --split test --baselines
  hf-mtl push runs/quickstart me/support-desk --private
  hf-mtl predict runs/quickstart rows.csv --output predictions.csv
  hf-mtl export runs/quickstart served --format onnx
  hf-mtl methods pcgrad
  accelerate launch --multi_gpu --num_processes 2 -m hf_mtl train recipes/quickstart.yaml training.output_dir=runs/two

exit codes: 0 done, 2 a mistake in the recipe, the data or the command, 3 kept but not pushed, 130 or 143
stopped by Ctrl-C or SIGTERM and resumable, 1 anything else
"""
_PUSH = """\
examples:
  hf-mtl push runs/mine me/mine
  hf-mtl push runs/mine/checkpoint-300 me/mine --revision early
  hf-mtl push runs/mine me/mine --single runs/only-emotion --single runs/only-intensity
"""
_PREDICT = """\
examples:
  hf-mtl predict runs/mine rows.csv --output predictions.csv
  hf-mtl predict runs/mine rows.jsonl --tasks emotion --probabilities -o predictions.parquet
  hf-mtl predict someone/their-model rows.csv tasks.emotion.text=body sep=';' -o out.csv
  hf-mtl predict runs/mine rows.csv -o out.csv --resume   # after Ctrl-C, a kill or a full disk
  zcat rows.jsonl.gz | hf-mtl predict runs/mine - | jq '."emotion.label"'

Each row is written as it was read, in the same order, with columns such as emotion.label and emotion.score, and with
error, which says why a row has no prediction.
"""
_EXPORT_EPILOG = """\
examples:
  hf-mtl export runs/quickstart plain --task topic
  hf-mtl export runs/quickstart served --format onnx --quantize int8
"""
# Of a command line, which are no options.
_WORDS = ("command", "target", "overrides", "name", "runs", "run", "repo", "directory")
_OVERRIDES = "keys of the recipe to replace, such as training.learning_rate=1e-4 or tasks.emotion.max_rows=500"
_SCORING = (
    "keys of the run's recipe to replace: other rows, columns, metrics; such as tasks.emotion.metrics=[accuracy]"
)


class _Parser(argparse.ArgumentParser):
    """Prints help and mistakes once for all processes, and repeats no token of a command line."""

    def error(self, message: str) -> NoReturn:
        """Print a mistake, and leave with the exit code of the base class."""
        super().error(shown(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            voice.say(message.rstrip("\n"), file or sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command and its subcommands."""
    parser = _Parser(
        prog="hf-mtl",
        description="Multi-task fine-tuning: one recipe, several tasks, one model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --over is no --overwrite
    )
    parser.add_argument("--version", action="version", version=f"hf-mtl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = _command(commands, "train", "train a recipe, score it, and leave the model in training.output_dir")
    train.add_argument("--resume", action="store_true", help="continue the run in training.output_dir")
    train.add_argument("--overwrite", action="store_true", help="start anew where a run is already")
    train.add_argument("--test", action="store_true", help="score the test splits too, at the end")
    evaluate = _command(
        commands,
        "evaluate",
        "score a trained run on its data",
        "a run's folder, a checkpoint in it, a Hub id, or a recipe",
    )
    evaluate.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    for command in (train, evaluate):
        command.add_argument(
            "--baselines", action="store_true", help="also score the majority class and TF-IDF with a linear model"
        )
    _command(commands, "plan", "say what training would do: rows, shares, passes, steps, tokens; draw the mixture")
    _predict(commands)
    _join(commands)
    _push(commands)
    _export(commands)
    _methods(commands)
    text = "print the JSON Schema of recipes, for editors"
    description = text[0].upper() + text[1:] + "."
    schema = commands.add_parser("schema", help=text, description=description, allow_abbrev=False)
    schema.add_argument(
        "--markdown", action="store_true", help="print the page of all keys, with links to the recipes in ./recipes"
    )
    return parser


def _command(
    commands: "argparse._SubParsersAction[_Parser]",
    name: str,
    text: str,
    target: str = "a recipe (YAML)",
) -> argparse.ArgumentParser:
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser(name, help=text, description=description, allow_abbrev=False)
    parser.add_argument("target", metavar="RECIPE" if name != "evaluate" else "RUN", help=target)
    keys = _SCORING if name == "evaluate" else _OVERRIDES
    allowed = "run code that the recipe names: functions of datasets, metric scripts, metrics of users of the Hub"
    parser.add_argument("--allow-code", action="store_true", help=allowed)
    # With a default, argparse knows that there may be none.
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help=keys)
    return parser


def _predict(commands: "argparse._SubParsersAction[_Parser]") -> None:
    text = "predict every row of a file: csv, jsonl or parquet, of any size"
    parser = commands.add_parser(
        "predict",
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_PREDICT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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
    parser.add_argument("--batch-tokens", type=_positive, metavar="N", help="tokens of a batch")
    parser.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1; left out: an accelerator if any")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise ValueError(word)
    return number


def _join(commands: "argparse._SubParsersAction[_Parser]") -> None:
    text = "put heads that were trained apart on one frozen encoder together in one model"
    parser = commands.add_parser("join", help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, checkpoints or models, or Hub ids")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the joined model, a new one")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="give a task another name; where several runs have it, of the second: 2:OLD=NEW",
    )


def _push(commands: "argparse._SubParsersAction[_Parser]") -> None:
    text = "push a trained model to the Hub, with its card, recipe and scores"
    parser = commands.add_parser(
        "push",
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_PUSH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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


def _export(commands: "argparse._SubParsersAction[_Parser]") -> None:
    text = "write a trained model for use without hf_mtl: as checkpoints of transformers, or as one ONNX graph"
    parser = commands.add_parser(
        "export",
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_EXPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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


def _methods(commands: "argparse._SubParsersAction[_Parser]") -> None:
    text = "list the balancing methods: sources, options, needs and costs; or say all about one"
    parser = commands.add_parser(
        "methods", help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a weighting or an aggregator, such as uw or pcgrad")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line; options and ``key=value`` may stand in any order, also before the recipe."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-") and word != "-"]
    if unknown:
        said = f"unknown option: {' '.join(unknown)}; see hf-mtl {arguments.command} --help"
        parser.error(f"{said}{_meant(unknown, arguments)}")
    if "runs" in arguments:  # some may stand behind an option
        arguments.runs += rest
        return arguments
    if "overrides" not in arguments:
        if rest:
            takes = {"name": "one name", "repo": "one RUN and one REPO"}
            most = next((words for word, words in takes.items() if word in arguments), "no arguments")
            parser.error(f"{arguments.command} takes {most}, found: {' '.join(rest)}")
        return arguments
    arguments.target, *arguments.overrides = _target_first([arguments.target, *arguments.overrides, *rest])
    if arguments.command == "predict":
        arguments.rows, *arguments.overrides = _target_first(arguments.overrides) if arguments.overrides else [""]
        if not arguments.rows or ("=" in arguments.rows and not os.path.exists(arguments.rows)):
            parser.error("predict takes a model and a file of rows: hf-mtl predict RUN FILE")
        if more := [word for word in arguments.overrides if "=" not in word]:
            parser.error(f"predict takes one file of rows, found also: {' '.join(more)}")
    return arguments


def _meant(unknown: Sequence[str], arguments: argparse.Namespace) -> str:
    """Ask for the nearest options of the command, where there are some."""
    options = [f"--{name.replace('_', '-')}" for name in vars(arguments) if name not in _WORDS]
    near = [found for word in unknown for found in get_close_matches(word.split("=")[0], options, n=1)]
    return f". Did you mean {' '.join(near)}?" if near else ""


def _target_first(words: list[str]) -> list[str]:
    """Return the recipe, which is the first word that is no ``key=value``, and then the others."""
    place = next((i for i, word in enumerate(words) if "=" not in word or os.path.exists(word)), 0)
    return [words[place], *words[:place], *words[place + 1 :]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments; None: those of the process.

    Returns:
        0 when done, else the `exit_code` of what ended the command. An exception that is not one of ours is raised,
        and Python exits with 1.
    """
    streams.protect()  # first, before anything keeps sys.stderr
    voice.quiet_others()
    arguments = parse(argv)
    code = 0
    try:
        from hf_mtl.cli import commands

        getattr(commands, arguments.command)(arguments)
        if arguments.command != "train":  # what that has to give is in its folder
            streams.check_output()
    except HfMtlError as error:
        _say_why(arguments.command, error)
        code = error.exit_code
    except Stopped as stopped:  # has said so itself
        code = stopped.exit_code
    except KeyboardInterrupt:
        voice.say(f"\nhf-mtl {arguments.command}: stopped by Ctrl-C", file=sys.stderr, last=True)
        return Interrupted.exit_code
    except Exception as error:
        if not voice.another_has_ended():
            raise
        # It has said why; this process has only lost it.
        why = f"{type(error).__name__}: {one_line(error)}"
        print(f"hf-mtl {arguments.command}: ended with the other processes ({why})", file=sys.stderr)
        return 1
    _leave_the_others()
    return code


def run() -> NoReturn:
    """Run the command of this process, and end the process with its code."""
    code = main()
    me = launched()
    if me is not None and me.rank > 0:
        # The others end before the first process, which still draws and pushes. One of them was once seen to abort in
        # the interpreter's exit ("terminate called without an active exception"); nothing is left for that to do.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _leave_the_others() -> None:
    """End what connects the processes: left to the interpreter's exit, it can abort a run that has succeeded."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return
    with suppress(Exception):  # the command has ended as it has; a process that died before says so itself
        distributed.destroy_process_group()


def _say_why(command: str, error: HfMtlError) -> None:
    """Print what ended a command: once, if every process found the same."""
    count = f"{_count(error)}\n" if isinstance(error, UserError) else ""
    voice.say(f"hf-mtl {command}: {count}{error}", file=sys.stderr, last=True)


def _count(error: UserError) -> str:
    number = len(error.mistakes)
    return "1 mistake" if number == 1 else f"{number} mistakes"
