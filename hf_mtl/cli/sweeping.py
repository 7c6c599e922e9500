"""The command ``sweep``."""

import argparse
from collections.abc import Callable

from hf_mtl.cli.options import Commands, add_workers, refuse_workers
from hf_mtl.errors import HfMtlError, name_classes

_MORE = (
    " Each arm has as many trials: its recipe as it is, random values, then TPE. A trial is an ordinary run. The "
    "best by a validation score is chosen; the test is scored for it and for the default. Started again, it goes on."
)


def add_sweep(commands: Commands) -> None:
    """Add ``sweep``."""
    text = "search values of recipe keys, with equal trials for every arm"
    parser = commands.add_parser("sweep", help=text, description=f"{text.capitalize()}.{_MORE}", allow_abbrev=False)
    parser.add_argument("target", metavar="SWEEP", help="the sweep's file (YAML)")
    add_workers(parser)
    parser.add_argument("--list", action="store_true", help="say what is searched and how far it is, and run nothing")
    parser.add_argument("--no-report", action="store_true", help="run trials, and leave the answer to another worker")
    parser.add_argument("--allow-code", action="store_true", help="run code that the recipes name, as for train")
    what = "keys of the sweep's file to replace, such as trials=20 or set.training.max_steps=100"
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help=what)


def sweep(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Run a sweep, or say how far it is.

    Args:
        arguments: Of the command line.
        say: Prints.

    Raises:
        UserError: If anything is wrong with the sweep; nothing is run.
        HfMtlError: If no trial of an arm has a score.
    """
    from hf_mtl.experiments.sweep.file import read_sweep
    from hf_mtl.experiments.sweep.run import list_sweep, refuse_surroundings, run_sweep
    from hf_mtl.experiments.sweep.tables import answer_tables, space_table, trial_line

    refuse_workers(arguments)
    refuse_surroundings()
    if arguments.list:
        found = read_sweep(arguments.target, arguments.overrides, arguments.allow_code)
        say(f"{space_table(found)}\n\n{list_sweep(found)}")
        return
    ended, result = run_sweep(
        arguments.target,
        arguments.overrides,
        workers=arguments.workers,
        allow_code=arguments.allow_code,
        report=not arguments.no_report,
        say=lambda record: say(trial_line(record)),
    )
    if arguments.no_report:
        return
    if result is None:
        say(f"\n{list_sweep(ended)}\n\nOther workers run the rest; the last of them scores the test.")
        return
    say(f"\n{answer_tables(result)}\n\nAll of it is in {ended.output_dir}.")
    if failed := [name for name, arm in result["arms"].items() if arm["chosen"] is None]:
        raise HfMtlError(
            f"{ended.output_dir}: no trial of {name_classes(failed)} has a score; nothing is chosen there."
        )
