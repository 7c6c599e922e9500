"""Guesses against the rows: what training would refuse is not written into a recipe."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from datasets import disable_progress_bars, enable_progress_bars
from datasets.utils import are_progress_bars_disabled

from hf_mtl.data.check import check_splits
from hf_mtl.data.columns import raise_all
from hf_mtl.data.csv_source import Loaded
from hf_mtl.data.gather import gather_splits
from hf_mtl.data.load import load_task
from hf_mtl.drafting.columns import ROWS
from hf_mtl.drafting.guess import Guess
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation import undefined_metrics
from hf_mtl.recipe.checks import LONGEST_NAME, name_mistakes
from hf_mtl.tasks import DatasetSource, Task, task_types

CHECKED_WHOLE = 200_000
"""Rows up to which all of them are checked; of more the first `columns.ROWS` of each split."""
_FEW = 20  # validation rows


@dataclass(frozen=True)
class Settled:
    """A guess that the rows agree with.

    Args:
        name: The task's name.
        guess: What was guessed.
        source: The keys of its dataset.
        rows: Rows of each split, as training has them.
        notes: What loading says of them.
        undefined: What keeps its metrics from being computed on the validation rows, which training refuses.
    """

    name: str
    guess: Guess
    source: Mapping[str, Any]
    rows: Mapping[str, int]
    notes: Sequence[str]
    undefined: Sequence[Mistake] = ()


def settle_all(
    guesses: Mapping[str, Guess], source: Mapping[str, Any], loaded: Loaded
) -> dict[str, Settled | Mistake]:
    """Settle the guesses about one dataset, with as many validation rows as their metrics need.

    Args:
        guesses: The guesses by the names of their tasks.
        source: The keys of the dataset, with absolute paths.
        loaded: Its rows.

    Returns:
        What was accepted of each, or why its first reading was not.
    """
    found: dict[str, Settled | Mistake] = {}
    # One share for all of them: tasks that share their texts carve the same rows.
    for fraction in _fractions(loaded):
        given = {name: _carving(guess, fraction) for name, guess in guesses.items()}
        found = {name: settle(name, guess, source, loaded) for name, guess in given.items()}
        if not any(isinstance(item, Settled) and item.undefined for item in found.values()):
            return found
    settled = {name: item for name, item in found.items() if isinstance(item, Settled)}
    if any(item.undefined and item.guess.keys["type"] == "regression" for item in settled.values()):
        return {**found, **{name: _without_validation(item, loaded) for name, item in settled.items()}}
    return {**found, **{name: _with_other_metrics(item) for name, item in settled.items()}}


def _fractions(loaded: Loaded) -> list[float | None]:
    """Return shares of the training rows to try for validation; None: the default."""
    rows = len(loaded.splits["train"])
    if "validation" in loaded.splits:
        return [None]
    return [None, 0.3, 0.5] if rows * 0.1 >= _FEW else [0.3, 0.5]


def _carving(guess: Guess, fraction: float | None) -> Guess:
    if fraction is None:
        return guess
    why = "of so few rows a larger share is set aside than 0.1, that scores mean something"
    changed = guess.with_key("validation_fraction", fraction, why)
    return replace(changed, instead=tuple(_carving(item, fraction) for item in guess.instead))


def _with_other_metrics(item: Settled) -> Settled:
    """Take a metric that can be computed on the few rows that there are, where the first ones cannot."""
    if not item.undefined:
        return item
    metric = "f1_micro" if item.guess.keys["type"] == "multi_label_classification" else "accuracy"
    why = f"{item.undefined[0].problem}: {metric} needs no more rows"
    return replace(item, guess=item.guess.with_key("metrics", [metric], why))


def _without_validation(item: Settled, loaded: Loaded) -> Settled:
    """Score nothing: no correlation is one on so few rows."""
    why = (
        f"the validation rows are too few to be scored ({next(iter(item.undefined)).problem})"
        if item.undefined
        else ""
    )
    guess = item.guess.with_key("validation_fraction", 0, why)
    left_out = {"splits": {"validation": None}} if "validation" in loaded.splits else {}
    rows = {split: count for split, count in item.rows.items() if split != "validation"}
    return replace(item, guess=guess, source={**item.source, **left_out}, rows=rows)


def settle(name: str, guess: Guess, source: Mapping[str, Any], loaded: Loaded) -> Settled | Mistake:
    """Find the first reading of a guess that loading accepts, as `hf_mtl.training` loads it.

    Args:
        name: The task's name.
        guess: The guess, with what else it may be.
        source: The keys of its dataset, with absolute paths.
        loaded: Its rows.

    Returns:
        What was accepted, or why the first reading was not.
    """
    first: Mistake | None = None
    for attempt in (guess, *guess.instead):
        for filtered in ({}, _not_blank(attempt)):
            given = {**source, **attempt.source, **filtered}
            try:
                rows, notes, undefined = _load(name, _task(attempt, given), loaded)
            except DataError as error:
                first = first or error.mistakes[0]
                if not any(item.key.endswith(".text") for item in error.mistakes):
                    break  # a filter helps nothing
            else:
                return Settled(name, attempt, given, rows, notes, undefined)
    assert first is not None  # there is an attempt at least
    return replace(first, key="")


def _task(guess: Guess, source: Mapping[str, Any]) -> Task:
    keys = {**guess.keys, "dataset": DatasetSource.model_validate(source)}
    return task_types()[guess.keys["type"]].model_validate(keys)


def _not_blank(guess: Guess) -> dict[str, Any]:
    """Leave rows out whose texts are empty; lists of words and choices are none."""
    if guess.keys["type"] in ("token_classification", "multiple_choice"):
        return {}
    text = guess.keys["text"]
    filters = [{"column": column, "not_blank": True} for column in ([text] if isinstance(text, str) else text)]
    return {"filter": filters[0] if len(filters) == 1 else filters}


def _load(name: str, task: Task, loaded: Loaded) -> tuple[dict[str, int], list[str], list[Mistake]]:
    """Load a task as training does, or the first of its rows where they are very many.

    Raises:
        DataError: With what is wrong with it.
    """
    if sum(map(len, loaded.splits.values())) <= CHECKED_WHOLE:
        found = load_task(name, task)
        notes = [note.removeprefix(f"{name}: ") for note in found.notes]
        rows = {split: len(part) for split, part in found.splits.items()}
        scored = found.labels.get("validation")
        undefined = [] if scored is None else undefined_metrics(found.task, name, scored.values, "validation")
        return rows, notes, undefined
    gathered = gather_splits(name, task)
    mistakes: list[Mistake] = []
    first = {split: part.select(range(min(ROWS, len(part)))) for split, part in gathered.splits.items()}
    check_splits(name, task, first, mistakes)
    raise_all(mistakes)
    counts = {split: len(part) for split, part in gathered.splits.items()}
    said = f"Only the first {ROWS:,} rows of each split were checked; hf-mtl plan checks all of them."
    # Training carves validation rows where there are none; of so many rows some are left.
    return {**counts, "validation": counts.get("validation", counts["train"] // 10)}, [said], []


def free_name(wanted: str, fronts: Sequence[str], taken: Collection[str]) -> str:
    """Return a name for a task that no other has and that a model can have.

    Args:
        wanted: The name by its label or its dataset.
        fronts: Words to put in front where it is taken: the dataset's name, the folder's.
        taken: The tasks that there are.
    """
    wanted = wanted[: LONGEST_NAME // 2].rstrip("_")  # a column may be called anything
    options = [wanted, *(f"{front}_{wanted}" for front in fronts if front and front != wanted), f"{wanted}_task"]
    options += [f"{options[-1]}_{number}" for number in range(2, len(taken) + 3)]
    return next(name for name in options if name not in taken and not list(name_mistakes(name)))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress of `datasets` from the terminal; downloads from the Hub still show theirs."""
    were = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were:
            enable_progress_bars()
