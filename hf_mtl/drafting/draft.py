"""From the names of files to the text of a recipe, which training takes as it is."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hf_mtl.data.columns import arrow_column, collect, is_text
from hf_mtl.data.csv_source import Loaded
from hf_mtl.data.sources import load_source
from hf_mtl.drafting.backbones import choose_encoder
from hf_mtl.drafting.columns import LABEL_NAMES, Column, Kind, headless, look_at, of_kind
from hf_mtl.drafting.given import Given, read_arguments
from hf_mtl.drafting.guess import Guess, Texts
from hf_mtl.drafting.lengths import as_list, longest_text
from hf_mtl.drafting.nested import nested_guesses
from hf_mtl.drafting.odd_values import words_in
from hf_mtl.drafting.page import flow
from hf_mtl.drafting.recipe_text import recipe_text
from hf_mtl.drafting.scalars import scalar_guesses
from hf_mtl.drafting.settle import Settled, free_name, quiet, settle_all
from hf_mtl.drafting.texts import find_texts
from hf_mtl.errors import DataError, Mistake, UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.reporting.atomic import replacing
from hf_mtl.tasks import DatasetSource

_QUICKSTART = Path(__file__).with_name("quickstart.yaml")
_IN_THE_REPOSITORY = "recipes/quickstart.yaml"
_ALONE = ("span_extraction", "multiple_choice", "token_classification")  # whose other columns are mostly no labels
_SCALAR: tuple[Kind, ...] = ("truth", "classes", "whole", "numbers")


@dataclass(frozen=True)
class Draft:
    """A recipe that was written.

    Args:
        path: Where.
        tasks: What each task was guessed to be, a line each.
    """

    path: Path
    tasks: list[str]


@dataclass
class Dataset:
    """One dataset on its way into a recipe.

    Args:
        given: What the user named.
        loaded: Its rows.
        columns: What its columns look like.
        texts: What its rows are read by.
        tasks: The tasks that its rows agree with.
        doubts: What its other columns may be, a sentence each.
        guessed: Whether anything was guessed, also what its rows refuse.
    """

    given: Given
    loaded: Loaded
    columns: Mapping[str, Column]
    texts: Texts
    tasks: list[Settled] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    guessed: bool = False


def draft_recipe(
    words: Sequence[str], output: str | Path, backbone: str | None = None, overwrite: bool = False
) -> Draft:
    """Write a recipe for some data.

    Args:
        words: Files, folders and ids of the Hub (``user/name`` or ``user/name:configuration``).
        output: The recipe's file.
        backbone: The encoder; None: one that this machine can have.
        overwrite: Whether the file may be there.

    Raises:
        UserError: If any of the data cannot be read, or nothing in them looks like a task, with all of these and what
            was found in the others; nothing is written then.
    """
    path = _free(output, overwrite)
    mistakes: list[Mistake] = []
    given = read_arguments(words, mistakes)
    tasks: dict[str, Settled] = {}
    datasets: list[Dataset] = []
    with quiet():
        for one in given:
            with collect(mistakes):
                datasets.append(_look(one))
        for item in datasets:
            _find_tasks(item, tasks, len(given))
    mistakes += [_nothing(item) for item in datasets if not item.tasks]
    if mistakes:
        raise DataError(_with_found(mistakes, tasks))
    read = [column.values for item in datasets for column in item.columns.values() if is_text(column.values.type)]
    longest = longest_text(datasets)
    encoder = choose_encoder(backbone, read, longest)
    with replacing(path) as temporary:
        temporary.write_text(recipe_text(words, datasets, encoder, longest, path), encoding="utf-8")
        load_recipe(temporary)
    return Draft(path, [_said(task) for task in tasks.values()])


def quickstart_recipe(output: str | Path, overwrite: bool = False) -> Path:
    """Write the quickstart's recipe, which comes with the package as its data do, with its own place in its comment.

    Raises:
        UserError: If the file is there and may not be replaced.
    """
    path = _free(output, overwrite)
    with replacing(path) as temporary:
        temporary.write_text(
            _QUICKSTART.read_text("utf-8").replace(_IN_THE_REPOSITORY, shlex.quote(str(path))), "utf-8"
        )
    return path


def _free(output: str | Path, overwrite: bool) -> Path:
    path = Path(output).expanduser()
    if path.is_dir():
        raise UserError(Mistake("--output", f"'{path}' is a folder", "Give the name of a file, such as recipe.yaml"))
    if path.exists() and not overwrite:
        raise UserError(Mistake("--output", f"'{path}' is there", "Give another name, or --overwrite to replace it"))
    return path


def _look(given: Given) -> Dataset:
    """Load a dataset, and look at its columns.

    Raises:
        DataError: If it cannot be read, or has no rows to train on.
    """
    try:
        loaded = load_source(DatasetSource.model_validate(given.source), given.shown)
    except DataError as error:
        raise DataError(_with_configuration(item, given) for item in error.mistakes) from error
    if not len(loaded.splits.get("train", ())):
        problem = f"has no rows to train on, only {', '.join(loaded.splits) or 'nothing'}"
        raise DataError(Mistake(given.shown, problem, "A file of training rows is called train, or is given alone."))
    columns = look_at(loaded.splits["train"], loaded.spelled)
    columns = {name: _with_all_words(column, loaded) for name, column in columns.items()}
    doubt = headless(columns) if loaded.spelled else ""
    return Dataset(given, loaded, columns, find_texts(columns), doubts=[doubt] if doubt else [])


def _with_all_words(column: Column, loaded: Loaded) -> Column:
    """Count the words in a column of numbers in all rows of all splits, as training reads them all."""
    if not column.odd:
        return column
    parts = [part for part in loaded.splits.values() if column.name in part.column_names]
    return replace(column, odd=words_in([arrow_column(part, column.name) for part in parts]))


def _with_configuration(mistake: Mistake, given: Given) -> Mistake:
    if not mistake.key.endswith(".name"):
        return mistake
    return replace(mistake, remedy=f"{mistake.remedy} Write {given.source['path']}:CONFIGURATION.")


def _find_tasks(item: Dataset, tasks: dict[str, Settled], datasets: int) -> None:
    """Guess the tasks of a dataset, and keep those that its rows agree with."""
    guesses = nested_guesses(item.columns, item.texts)
    taken = {name for guess in guesses for name in guess.columns} | {column.name for column in item.texts.columns}
    scalars = [column for column in of_kind(item.columns, *_SCALAR) if column.name not in taken]
    chosen = _labels(scalars, any(guess.keys["type"] in _ALONE for guess in guesses)) if item.texts.columns else []
    guesses = [*guesses, *scalar_guesses(chosen, item.texts)]
    item.guessed = bool(guesses)
    named: dict[str, Guess] = {}
    for guess in guesses:
        wanted = _wanted_name(guess, item.given, len(guesses), datasets)
        named[free_name(wanted, (item.given.name, item.given.above), {*tasks, *named})] = guess
    for name, found in settle_all(named, item.given.source, item.loaded).items():
        if isinstance(found, Settled):
            tasks[name] = found
            item.tasks.append(found)
        else:
            columns = ", ".join(sorted(named[name].columns))
            item.doubts.append(f"{columns}: no {named[name].keys['type']}, as {found.problem}. {found.remedy}")
    used = {name for guess in guesses for name in guess.columns}
    item.doubts += [_doubt(column, item.texts) for column in item.columns.values() if column.name not in used]


def _labels(scalars: Sequence[Column], alone: bool) -> list[Column]:
    """Choose the label columns: where some are called so, or declared, the others are taken for something else.

    Args:
        scalars: Columns that may be labels.
        alone: Whether there is a task that mostly has no other beside it.
    """
    ranks = {column.name: _rank(column) for column in scalars}
    best = min(ranks.values(), default=0)
    return [] if alone and best > 1 else [column for column in scalars if ranks[column.name] == best]


def _rank(column: Column) -> int:
    lower = column.name.lower()
    if column.names is not None or "label" in lower:
        return 0
    return 1 if lower in LABEL_NAMES else 2


def _wanted_name(guess: Guess, given: Given, guesses: int, datasets: int) -> str:
    """Name a task by its dataset where it is the only one, else by its label."""
    label = re.sub(r"[^a-z0-9]+", "_", guess.name.lower()).strip("_")
    says_nothing = label in (*LABEL_NAMES, "answers", "tags", "")
    if guesses == 1 and given.name and (says_nothing or datasets > 1):
        return given.name
    if datasets > 1 and given.name and len(label) < 3:
        return f"{given.name}_{label}".strip("_")
    return "task" if says_nothing and guesses == 1 else label or "task"


def _doubt(column: Column, texts: Texts) -> str:
    """Say what a column that is not used looks like, and how it would be."""
    said = f"{column.name}: not used; {column.why}."
    if column.kind in _SCALAR and texts.columns:
        [guess] = scalar_guesses([column], texts)
        how = f"{{type: {guess.keys['type']}, label: {column.name}}}, with the same text and dataset"
        needed = f", and {flow(dict(guess.source))} in it" if guess.source else ""
        return f"{said} As a task: {how}{needed}."
    known = {
        "id": "Looks like an id, which says nothing of a text.",
        "date": "Looks like a date.",
        "constant": "It teaches nothing.",
        "words": "Looks like names or free words.",
        "text": "Looks like free text.",
        "spelled lists": "Lists that a file spells as texts, a function of the dataset can read (key function).",
        "token ids": "Rows may bring them in place of texts.",
        "lists": "Lists that match no text's words and are no few labels.",
    }
    return f"{said} {known.get(column.kind, '')}".strip()


def _nothing(item: Dataset) -> Mistake:
    """Say why nothing in a dataset looks like a task."""
    if not item.texts.columns and not of_kind(item.columns, "lists"):
        problem = "no column looks like texts"
    else:
        problem = "no task fits its columns" if item.guessed else "no column looks like labels"
    seen = "; ".join(item.doubts[:12]) or ", ".join(item.columns)
    return Mistake(item.given.shown, problem, f"Its columns: {seen}")


def _with_found(mistakes: list[Mistake], tasks: Mapping[str, Settled]) -> list[Mistake]:
    """Say behind the last mistake what the other data would become without those with mistakes."""
    if not tasks:
        return mistakes
    found = "; ".join(_said(task) for task in tasks.values())
    *others, last = mistakes
    remedy = f"{last.remedy.rstrip('.')}. " if last.remedy else ""
    return [*others, replace(last, remedy=f"{remedy}Without what has mistakes, init would draft {found}")]


def _said(task: Settled) -> str:
    rows = ", ".join(f"{count:,} {split}" for split, count in task.rows.items())
    labels = ", ".join(as_list(task.guess.keys["label"]))
    return f"{task.name}: {task.guess.keys['type']} of '{labels}' ({rows} rows)"
