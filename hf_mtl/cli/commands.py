"""One function per command; each calls one function of the rooms below and prints what it returns."""

import functools
import json
import shlex
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers.utils import logging

from hf_mtl.cli import voice
from hf_mtl.data.processes import is_grouped, is_main_process
from hf_mtl.errors import Mistake, UserError
from hf_mtl.launched import launched
from hf_mtl.recipe import load_recipe
from hf_mtl.shown import shown
from hf_mtl.tasks import Task


def _say(text: str) -> None:
    """Print what may hold names and values of the user's."""
    _print(shown(text, lines=True))


def _print(text: str) -> None:
    """Print once, however many processes there are, and at once: what follows may take long or fail."""
    if not is_grouped():  # the launched processes have not met
        voice.say(text)
    elif is_main_process():
        print(text, flush=True)


def _by_the_first(command: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Let the first process of a launch do a command that one process can do; the others have nothing to do."""

    @functools.wraps(command)
    def alone(arguments: Namespace) -> None:
        me = launched()
        if me is None or me.rank == 0:
            command(arguments)

    return alone


@_by_the_first
def init(arguments: Namespace) -> None:
    """Write a recipe for some data, or that of the quickstart."""
    if arguments.quickstart == bool(arguments.data):
        problem = "takes no data" if arguments.data else "nothing to look at"
        remedy = "Name files, folders or ids of the Hub; or say --quickstart, which brings its own data"
        raise UserError(Mistake("--quickstart" if arguments.data else "init", problem, remedy))
    from hf_mtl.drafting import draft_recipe, quickstart_recipe

    if arguments.quickstart:
        if arguments.backbone is not None:
            raise UserError(
                Mistake("--backbone", "the quickstart has its own", "Change model.backbone in the recipe")
            )
        path = quickstart_recipe(arguments.output or "quickstart.yaml", arguments.overwrite)
    else:
        draft = draft_recipe(
            arguments.data, arguments.output or "recipe.yaml", arguments.backbone, arguments.overwrite
        )
        path = draft.path
        _say("\n".join(draft.tasks))
    plan, train = (shlex.join(["hf-mtl", name, str(path)]) for name in ("plan", "train"))
    _say(f"Wrote {path}. Read its comments, then:\n\n    {plan}\n    {train}\n")


def train(arguments: Namespace) -> None:
    """Train a recipe."""
    # Mistakes show before anything heavy is imported.
    recipe = load_recipe(arguments.target, arguments.overrides, arguments.allow_code)
    from hf_mtl.training import output_dir, run_recipe

    logging.disable_progress_bar()  # of loading and writing weights; training and evaluation keep theirs

    def say(results: dict[str, Any]) -> None:
        _say_scores("validation", results)
        if "test" in results:
            _say_scores("test", results["test"])
        _say_how_to_use(output_dir(recipe), recipe.tasks)

    run_recipe(
        recipe,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        test=arguments.test,
        baselines=arguments.baselines,
        on_results=say,
    )


def _say_scores(split: str, results: dict[str, Any]) -> None:
    """Print the scores of a split, what they mean, and what else there is to know of them."""
    from hf_mtl.reporting.tables import results_notes, results_table

    _say(f"\n{split}\n{results_table(results, results.get('baselines'))}\n\n{results_notes(results)}")


def _say_how_to_use(folder: str, tasks: Mapping[str, Task]) -> None:
    from hf_mtl.reporting.card.snippets import loading, usage

    lines = f"{loading(folder)}{usage(*next(iter(tasks.items())))}".splitlines()
    python = "\n".join(f"    {line}" if line else "" for line in lines)
    command = shlex.join(["hf-mtl", "predict", folder, "rows.csv"])
    _say(f"\nThe model is in {folder}. To use it: {command}, or\n\n{python}\n")


def _import_plugins(arguments: Namespace, *runs: str) -> None:
    """Import what the recipes of runs name under ``plugins``, where the user says so."""
    if not arguments.allow_code:
        return
    from hf_mtl.inference.runs import local_folder
    from hf_mtl.recipe.plugins import import_plugins

    for run in runs:
        folder = local_folder(run)
        recipes = (place / "recipe.yaml" for place in (folder, folder.parent))
        if (recipe := next((path for path in recipes if path.is_file()), None)) is not None:
            import_plugins(recipe)


def evaluate(arguments: Namespace) -> None:
    """Score a trained run."""
    from hf_mtl.training import evaluate_run

    logging.disable_progress_bar()
    results = evaluate_run(
        arguments.target,
        arguments.overrides,
        split=arguments.split,
        baselines=arguments.baselines,
        allow_code=arguments.allow_code,
    )
    _say_scores(arguments.split, results)


@_by_the_first
def predict(arguments: Namespace) -> None:
    """Predict every row of a file."""
    from hf_mtl.cli.predicting import predict_rows

    logging.disable_progress_bar()
    _import_plugins(arguments, arguments.target)
    predict_rows(arguments)


def plan(arguments: Namespace) -> None:
    """Say what training a recipe would do."""
    recipe = load_recipe(arguments.target, arguments.overrides, arguments.allow_code)
    from hf_mtl.reporting.plan_table import plan_table
    from hf_mtl.training import plan_recipe

    summary, figure = plan_recipe(recipe)
    _say(plan_table(summary))
    if figure is not None:
        _say(f"\nThe mixture over time is drawn in {figure}.")


def affinity(arguments: Namespace) -> None:
    """Measure which tasks should train together."""
    from hf_mtl.cli.affinity import affinity as measure

    logging.disable_progress_bar()
    measure(arguments, _say)


def compare(arguments: Namespace) -> None:
    """Run a study."""
    from hf_mtl.cli.comparing import run_compare

    logging.disable_progress_bar()
    run_compare(arguments, _say)


@_by_the_first
def join(arguments: Namespace) -> None:
    """Put the heads of several runs together."""
    rename: dict[str, str] = {}
    for word in arguments.rename:
        old, equals, new = word.partition("=")
        if not (old and equals and new) or old in rename:
            problem = f"gives '{old}' two names" if old in rename else f"found '{word}'"
            raise UserError(Mistake("--rename", problem, "Write OLD=NEW, or 2:OLD=NEW for a task of the second run"))
        rename[old] = new
    from hf_mtl.inference.join import join_runs

    logging.disable_progress_bar()
    _import_plugins(arguments, *arguments.runs)
    model = join_runs(arguments.runs, arguments.output, rename)
    _say(f"Joined the tasks {', '.join(model.tasks)} of {len(arguments.runs)} runs.")
    _say_how_to_use(arguments.output, model.tasks)


@_by_the_first
def push(arguments: Namespace) -> None:
    """Push a trained model to the Hub."""
    from hf_mtl.training import push_run

    logging.disable_progress_bar()
    _import_plugins(arguments, arguments.run, *arguments.single)
    address = push_run(
        arguments.run,
        arguments.repo,
        private=True if arguments.private else None,
        revision=arguments.revision,
        single=arguments.single,
    )
    _say(f"Pushed {arguments.run} to {address}")


@_by_the_first
def export(arguments: Namespace) -> None:
    """Write a trained model for use without hf_mtl."""
    if arguments.quantize is not None and arguments.format != "onnx":
        raise UserError(Mistake("--quantize", f"found with --format {arguments.format}", "Add --format onnx"))
    if arguments.texts is not None and arguments.quantize is None:
        raise UserError(Mistake("--texts", "found without --quantize", "Add --quantize int8, or leave it out"))
    logging.disable_progress_bar()
    from hf_mtl.cli import exports

    _import_plugins(arguments, arguments.run)
    tasks = list(dict.fromkeys(arguments.task))
    if arguments.format == "onnx":
        exports.as_onnx(
            arguments.run, arguments.directory, tasks, arguments.quantize, arguments.texts, _say, arguments.allow_code
        )
    else:
        exports.as_transformers(arguments.run, arguments.directory, tasks, _say)


def sweep(arguments: Namespace) -> None:
    """Search values of recipe keys."""
    from hf_mtl.cli import sweeping

    logging.disable_progress_bar()
    sweeping.sweep(arguments, _say)


@_by_the_first
def report(arguments: Namespace) -> None:
    """Write the tables and figures of a run or a study again."""
    from hf_mtl.cli.reporting import write_again

    write_again(arguments, _say)


def diagnose(arguments: Namespace) -> None:
    """Look into the encoders of trained runs."""
    from hf_mtl.cli.diagnosing import diagnose_command

    logging.disable_progress_bar()
    diagnose_command(arguments, _say)


def methods(arguments: Namespace) -> None:
    """Print the table of balancing methods, or all about one."""
    from hf_mtl.reporting.methods import method_page, methods_table

    _say(methods_table() if arguments.name is None else method_page(arguments.name))


def schema(arguments: Namespace) -> None:
    """Print the JSON Schema of recipes, studies or sweeps, or the page of their keys."""
    from hf_mtl.experiments.reference import reference, schema_of

    if arguments.markdown:
        _print(reference(arguments.kind, Path("recipes")))
        return
    _print(json.dumps(schema_of(arguments.kind), indent=2))
