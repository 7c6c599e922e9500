"""The command `affinity`: which tasks of a recipe should train together."""

import argparse
from collections.abc import Callable
from pathlib import Path

from hf_mtl.cli.options import Commands
from hf_mtl.launched import refuse_several

METHODS = ("linearised", "lookahead")


def add_affinity(commands: Commands) -> None:
    """Add ``affinity``."""
    text = "measure which tasks of a recipe should train together, and propose groups of them"
    description = f"{text[0].upper()}{text[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        "affinity", help=text, description=description, allow_abbrev=False
    )
    parser.add_argument("target", metavar="RECIPE", help="a recipe (YAML)")
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="keys of the recipe to replace")
    given = "a joint run of the recipe's tasks, or a checkpoint of one; left out: a short one is trained, and said"
    parser.add_argument("--checkpoint", metavar="RUN", help=given)
    how = "linear models of groups at the last checkpoint (default), or lookaheads at several checkpoints"
    parser.add_argument("--method", choices=METHODS, default=METHODS[0], help=how)
    parser.add_argument("--groups", type=int, metavar="N", help="the most groups; left out: as many as tasks")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="steps of the short joint run; left out: a fifth of the recipe's"
    )
    parser.add_argument(
        "--rows", type=int, default=200, metavar="N", help="rows of each task that are looked at (default: 200)"
    )
    where = "folder of affinity.json, affinity.png and proposal.json; left out: training.output_dir and -affinity"
    parser.add_argument("-o", "--output", metavar="DIR", help=where)
    allowed = "run code that the recipe names: plugins, functions of datasets, metric scripts"
    parser.add_argument("--allow-code", action="store_true", help=allowed)


def affinity(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure affinities, and say them.

    Args:
        arguments: What was asked.
        say: Prints a text.
    """
    refuse_several("affinity", "Start it as one: hf-mtl affinity RECIPE")
    from hf_mtl.experiments.affinity import Asked, find_affinity
    from hf_mtl.experiments.affinity.report import text

    asked = Asked(
        method=arguments.method,
        checkpoint=arguments.checkpoint,
        steps=arguments.steps,
        groups=arguments.groups,
        rows=arguments.rows,
        output=None if arguments.output is None else Path(arguments.output),
        allow_code=arguments.allow_code,
    )
    found_here = find_affinity(arguments.target, arguments.overrides, asked)
    say(f"\n{text(found_here)}\n\nWritten to {found_here.folder}: affinity.json, affinity.png, proposal.json.")
