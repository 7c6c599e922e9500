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
from hf_mtl.cli.affinity import add_affinity
from hf_mtl.cli.comparing import add_compare
from hf_mtl.cli.diagnosing import add_diagnose
from hf_mtl.cli.examples import EXAMPLES
from hf_mtl.cli.options import add_export, add_init, add_join, add_methods, add_predict, add_push
from hf_mtl.cli.reporting import add_report
from hf_mtl.cli.sweeping import add_sweep
from hf_mtl.errors import HfMtlError, Interrupted, Stopped, UserError, one_line
from hf_mtl.launched import launched
from hf_mtl.shown import shown

_EPILOG = """\
examples:
  hf-mtl init --quickstart
  hf-mtl plan quickstart.yaml
  hf-mtl train quickstart.yaml
  hf-mtl train quickstart.yaml training.max_steps=50 training.output_dir=runs/short
  hf-mtl evaluate runs/quickstart --split test --baselines
  hf-mtl predict runs/quickstart rows.csv --output predictions.csv
  hf-mtl export runs/quickstart served --format onnx
  hf-mtl push runs/quickstart me/support-desk --private
  hf-mtl init my-reviews.csv my-topics.jsonl
  hf-mtl methods pcgrad
  accelerate launch --multi_gpu --num_processes 2 -m hf_mtl train quickstart.yaml training.output_dir=runs/two

hf-mtl COMMAND --help has examples of each command.

exit codes: 0 done, 2 a mistake in the recipe, the data or the command, 3 kept but not pushed, 130 or 143
stopped by Ctrl-C or SIGTERM and resumable, 1 anything else
"""
# Of a command line, which are no options.
_WORDS = ("command", "kind", "target", "overrides", "name", "runs", "data", "run", "repo", "directory")
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
    add_init(commands)
    train = _command(commands, "train", "train a recipe, score it, and leave the model in training.output_dir")
    train.add_argument("--resume", action="store_true", help="continue the run in training.output_dir")
    train.add_argument("--overwrite", action="store_true", help="start anew where a run is already")
    train.add_argument("--test", action="store_true", help="score the test splits too, at the end")
    evaluate = _command(
        commands, "evaluate", "score a trained run on its data", "a run's folder, a checkpoint, a Hub id, or a recipe"
    )
    evaluate.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    for command in (train, evaluate):
        command.add_argument(
            "--baselines",
            action="store_true",
            help="also score the majority class, TF-IDF with a linear model, and baselines of the recipe",
        )
    _command(commands, "plan", "say what training would do: rows, shares, passes, steps, tokens; draw the mixture")
    add_affinity(commands)
    add_compare(commands)
    add_predict(commands)
    add_export(commands)
    add_push(commands)
    add_join(commands)
    add_sweep(commands)
    add_diagnose(commands)
    add_methods(commands)
    add_report(commands)
    text = "print the JSON Schema of recipes, studies or sweeps, for editors"
    description = text[0].upper() + text[1:] + "."
    schema = commands.add_parser("schema", help=text, description=description, allow_abbrev=False)
    kinds = ("recipe", "study", "sweep")
    schema.add_argument("kind", nargs="?", default=kinds[0], choices=kinds, help="of which file (default: recipe)")
    schema.add_argument(
        "--markdown", action="store_true", help="print the page of all keys, with links to the recipes in ./recipes"
    )
    for name, command in commands.choices.items():
        command.epilog = f"examples:\n{EXAMPLES[name]}"
        command.formatter_class = argparse.RawDescriptionHelpFormatter  # lines stay lines
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
    allowed = (
        "run code that the recipe names: plugins, functions of datasets, metric scripts, metrics of users of the Hub"
    )
    parser.add_argument("--allow-code", action="store_true", help=allowed)
    # With a default, argparse knows that there may be none.
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help=keys)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line; options and ``key=value`` may stand in any order, also before the recipe."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-") and word != "-"]
    if unknown:
        said = f"unknown option: {' '.join(unknown)}; see hf-mtl {arguments.command} --help"
        parser.error(f"{said}{_meant(unknown, arguments)}")
    for several in ("runs", "data"):  # some may stand behind an option
        if several in arguments:
            setattr(arguments, several, [*getattr(arguments, several), *rest])
            return arguments
    if "overrides" not in arguments:
        if rest:
            takes = {
                "name": "one name",
                "repo": "one RUN and one REPO",
                "directory": "one RUN and one DIR",
                "run": "one RUN",
                "kind": "one kind of file",
            }
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
