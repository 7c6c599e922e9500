"""The command `hf-mtl compare`."""

import argparse
from collections.abc import Callable

from hf_mtl.cli.options import Commands, add_workers, refuse_workers


def add_compare(commands: Commands) -> None:
    """Add ``compare``."""
    text = "run a study: arms by seeds at one budget, and say whether training together helped"
    parser = commands.add_parser(
        "compare", help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.add_argument("target", metavar="STUDY", help="a study (YAML)")
    # With a default, argparse knows that there may be none.
    keys = "keys of the study to replace, such as seeds=1, set.training.max_steps=50 or output_dir=runs/short"
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help=keys)
    add_workers(parser)
    executors = "where workers run: here, as jobs of Slurm (extra [slurm]), or print their commands (default: local)"
    parser.add_argument("--executor", default="local", choices=("local", "slurm", "print"), help=executors)
    parser.add_argument("--list", action="store_true", help="say what is done, running, missing, and the time left")
    again = "train finished runs again whose settings or data have changed"
    parser.add_argument("--overwrite", action="store_true", help=again)
    parser.add_argument("--no-report", action="store_true", help="do runs, and leave the answer to another worker")
    parser.add_argument("--allow-code", action="store_true", help="run code that the recipes name")


def run_compare(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Run a study, or say how far it is.

    Args:
        arguments: Of the command line.
        say: Takes what there is to say.

    Raises:
        UserError: If the study cannot be run as it is asked for.
    """
    refuse_workers(arguments)
    from hf_mtl.experiments.compare import compare, show
    from hf_mtl.launched import refuse_several

    refuse_several("compare", "Start it as one, with --workers N, or on each machine: they share its folder")
    given = (arguments.target, arguments.overrides)
    if arguments.list:
        say(show(*given, workers=arguments.workers, allow_code=arguments.allow_code))
        return
    compare(
        *given,
        workers=arguments.workers,
        executor=arguments.executor,
        allow_code=arguments.allow_code,
        overwrite=arguments.overwrite,
        report=not arguments.no_report,
        say=say,
    )
