"""Loading of tasks: checked rows, or every mistake of every task at once; nothing is left out in silence."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from datasets import Dataset

from hf_mtl.data.check import check_rows, check_splits, empty_split
from hf_mtl.data.checked import Checked, remember, remembered
from hf_mtl.data.columns import COUNTED, collect, name_count, raise_all
from hf_mtl.data.complete import carve_splits, draw_rows, drop_unlabelled, unused_stratify
from hf_mtl.data.contamination import settle_beside
from hf_mtl.data.draws import Draw
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.fingerprint import fingerprint
from hf_mtl.data.folds import fold_sides, pooled
from hf_mtl.data.formats import no_dataset, plain_rows
from hf_mtl.data.function_gate import function_mistakes
from hf_mtl.data.gather import gather_splits
from hf_mtl.data.imbalance import imbalance_of
from hf_mtl.data.lines import with_lines
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.processes import agree, is_main_process
from hf_mtl.data.same_rows import as_text, other_tasks
from hf_mtl.data.section import Contamination, FoldSpec, ImbalanceSpec
from hf_mtl.data.sharing import of_one_process
from hf_mtl.data.stratified_carving import ReadTask, sides_of
from hf_mtl.data.stream_names import source_of
from hf_mtl.data.text_keys import Keys, text_keys
from hf_mtl.data.texts import check_texts, missing_columns, needed_columns
from hf_mtl.data.train_notes import split_notes, train_notes
from hf_mtl.errors import DataError, Mistake
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def load_tasks(
    tasks: Mapping[str, Task],
    seed: int = 0,
    contamination: Contamination = "warn",
    imbalance: ImbalanceSpec | None = None,
    allow_code: bool = False,
    beside: Mapping[str, Task] | None = None,
    fold: FoldSpec | None = None,
    carving_seed: int | None = None,
) -> dict[str, LoadedTask]:
    """Load every task, and find the rows to score that stand in the training rows of any.

    One process of each machine does it; the others get what it has found, or the mistakes.

    Args:
        tasks: Tasks by name.
        seed: Seed of the draws of training rows.
        contamination: What is done about rows to score that are trained on. To ``warn`` is left to the caller.
        imbalance: The ratio of the tasks' training rows; None: what they are.
        allow_code: Whether functions that the sources name may be run.
        beside: Tasks that are not loaded, but carved with those that read the same texts, see `carved_beside`, and
            compared with where training rows are dropped.
        fold: The fold of all rows that is test; None: splits are those of the data.
        carving_seed: Seed of the draws of validation and test rows; None: that of training rows.

    Raises:
        DataError: With the mistakes of all tasks.
    """
    beside = beside or {}
    seeds = _Seeds(seed if carving_seed is None else carving_seed, seed)
    raise_all(function_mistakes({**beside, **tasks}, allow_code))
    asked = {name: as_text(task) for name, task in tasks.items()}
    loaded, first = of_one_process(lambda: (_load_tasks(tasks, beside, seeds, contamination, imbalance, fold), asked))
    agree(other_tasks(first, asked))
    for found in loaded.values():
        read = source_of(found.task)
        for split, dataset in found.splits.items():
            checked = Checked(found.labels[split], keys=found.keys.get(split), source=read)
            remember(found.task, split, dataset, checked)
    return loaded


class _Seeds(NamedTuple):
    """The seeds of draws: of rows to score, and of training rows."""

    carving: int
    training: int


def _load_tasks(
    tasks: Mapping[str, Task],
    beside: Mapping[str, Task],
    seeds: _Seeds,
    contamination: Contamination,
    imbalance: ImbalanceSpec | None,
    fold: FoldSpec | None,
) -> dict[str, LoadedTask]:
    mistakes: list[Mistake] = []
    read: dict[str, ReadTask] = {}
    strata: dict[str, ReadTask] = {}
    for given, found in ((tasks, read), (beside, strata)):
        for name, task in given.items():
            with collect(mistakes):
                found[name] = _read_rows(name, task, fold)
    raise_all(mistakes)
    sides = (
        sides_of(read, seeds.carving, strata) if fold is None else fold_sides({**strata, **read}, fold, seeds.carving)
    )
    loaded: dict[str, LoadedTask] = {}
    others: dict[str, LoadedTask] = {}
    compared = {name: item for name, item in strata.items() if contamination == "drop" and name not in read}
    for completed, items in ((loaded, read), (others, compared)):
        for name, item in items.items():
            with collect(mistakes):
                completed[name] = _completed(name, item, seeds, sides.get(name), fold)
    raise_all(mistakes)
    # Rows that are taken out are no part of the ratio; rows that it leaves out are not trained on.
    if contamination != "drop":
        loaded = _in_ratio(loaded, imbalance, seeds.training)
    loaded = settle_beside(loaded, others, contamination)
    if contamination == "drop":
        loaded = _in_ratio(loaded, imbalance, seeds.training)
    return {name: _with_label_notes(name, item) for name, item in loaded.items()}


def _in_ratio(loaded: dict[str, LoadedTask], imbalance: ImbalanceSpec | None, seed: int) -> dict[str, LoadedTask]:
    """Draw training rows of every task so that their numbers have the ratio, each with the strata that it had."""
    if imbalance is None:
        return loaded
    trained = {name: item for name, item in loaded.items() if "train" in item.labels}
    strata = {name: item.task.strata(item.labels["train"].values) for name, item in trained.items()}
    drawn = imbalance_of(imbalance, strata, seed)
    found = dict(loaded)
    for name, item in trained.items():
        used, count = len(drawn.rows[name]), name_count(len(strata[name]), "train row")
        note = (
            f"{name}: {used:,} of {count} are used (imbalance, {drawn.ratio[name]} of {drawn.unit:,}, seed {seed})."
        )
        draw = Draw("imbalance", used, len(strata[name]))
        left = item.with_train_rows(drawn.rows[name]) if used < len(strata[name]) else item
        found[name] = replace(left, notes=[*item.notes, note], draws=(*item.draws, draw), imbalance=drawn)
    return found


def load_task(name: str, task: Task, seed: int = 0, allow_code: bool = False) -> LoadedTask:
    """Load, filter, check and complete the splits of a task.

    Rows without a label are dropped and counted. Validation rows are taken out of train where the data has none, and
    test rows where the task asks for them, by a hash of their text, or by class if it says `stratify`. Rows keep
    their order.

    Args:
        name: The task's name.
        task: The task.
        seed: Seed of the draws of validation and test rows, of `max_rows` and of `train_fraction`.
        allow_code: Whether functions that the sources name may be run.

    Raises:
        DataError: With everything that is wrong in any split.
    """
    raise_all(function_mistakes({name: task}, allow_code))
    read = _read_rows(name, task)
    return _with_label_notes(
        name, _completed(name, read, _Seeds(seed, seed), sides_of({name: read}, seed, {}).get(name))
    )


def _read_rows(name: str, task: Task, fold: FoldSpec | None = None) -> ReadTask:
    """Load the splits that the data of a task has; for folds, all of them together as train."""
    gathered = gather_splits(name, task)
    if fold is not None and not task.is_scored_only:
        gathered = pooled(name, gathered)
    mistakes: list[Mistake] = []
    given = task
    task, checked = check_splits(name, given, gathered.splits, mistakes, to_train=not given.is_scored_only)
    located = [with_lines(item, gathered.parts) for item in mistakes]
    raise_all([_say_renumbered(item) for item in located] if gathered.renumbered else located)
    notes = list(gathered.notes)
    if "train" in checked:
        notes += task.label_notes(name, checked["train"].dataset, given)
    rows = {}
    for split, part in checked.items():
        if part.labels.missing.all():
            count = name_count(len(part.dataset), f"{split} row")
            notes.append(f"{name}: none of {count} has {part.labels.wanted}; {split} is left out.")
        else:
            labelled = drop_unlabelled(name, split, part, notes)
            rows[split] = replace(labelled, keys=text_keys(task, labelled.dataset))
    return ReadTask(task, rows, notes)


def _completed(
    name: str, read: ReadTask, seeds: _Seeds, sides: Mapping[str, Keys] | None, fold: FoldSpec | None = None
) -> LoadedTask:
    """Complete the splits of a task, without the notes of what its training rows teach."""
    task, rows, notes = read.task, dict(read.rows), list(read.notes)
    draws: tuple[Draw, ...] = ()
    if "train" in rows:
        rows = carve_splits(name, task, rows, seeds.carving, notes, sides, fold)
        # After carving, so that a smaller draw moves no row to another side.
        notes += unused_stratify(name, task, read.rows) if fold is None else []  # which deals them out
        rows["train"], draws = draw_rows(name, task, rows["train"], seeds.training, notes)
    rows = {split: rows[split] for split in ("train", "validation", "test") if split in rows}
    return replace(_as_loaded(task, rows, notes, set(read.rows)), draws=draws)


def _as_loaded(task: Task, rows: Mapping[str, LabelledRows], notes: list[str], brought: set[str]) -> LoadedTask:
    """Collect the finished splits of a task, of which ``brought`` are the data's own."""
    keys = {split: part.keys for split, part in rows.items() if part.keys is not None}
    fingerprints = {split: fingerprint(found, rows[split].labels) for split, found in keys.items()}
    splits = {split: part.dataset for split, part in rows.items()}
    labels = {split: part.labels for split, part in rows.items()}
    carved = tuple(split for split in rows if split not in brought)
    return LoadedTask(task, splits, notes=notes, keys=keys, fingerprints=fingerprints, carved=carved, labels=labels)


def _with_label_notes(name: str, item: LoadedTask) -> LoadedTask:
    """Add notes of what the training rows cannot teach, once it is known which they are."""
    if "train" not in item.labels:  # a task that is only scored
        return item
    notes = [*train_notes(name, item.task, item.labels["train"]), *split_notes(name, item.task, item.labels)]
    return replace(item, notes=[*item.notes, *notes])


def prepare_dataset(name: str, task: Task, dataset: Dataset, split: str, labelled: bool = True) -> Dataset:
    """Check one in-memory dataset as `load_task` checks the splits it loads.

    Args:
        name: The task's name.
        task: The task; its classes must be known.
        dataset: Rows with the task's columns, or with ``input_ids`` in place of the text.
        split: What they are for. What ``train`` cannot teach is said in a warning.
        labelled: Whether labels are needed. Without them the label columns are not read.

    Returns:
        The labelled rows with the task's columns only. Dropped rows are counted in a warning.

    Raises:
        DataError: With everything that is wrong.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(no_dataset(dataset, name, split))
    dataset = plain_rows(dataset, name, split)
    if labelled:
        return prepare_rows(name, task, dataset, split).dataset
    raise_all(_unusable(name, task, dataset, split, labelled))
    dataset = dataset.select_columns(needed_columns(task, dataset, labelled))
    raise_all(check_texts(task, name, split, dataset))
    return dataset


def prepare_rows(name: str, task: Task, dataset: Dataset, split: str, keyed: bool = False) -> LabelledRows:
    """Check rows as `prepare_dataset` does, and keep their labels. Rows that were checked before are not again.

    Args:
        name: The task's name.
        task: The task; its classes must be known.
        dataset: The rows.
        split: What they are for.
        keyed: Hash the texts of the rows that are returned.

    Raises:
        DataError: With everything that is wrong.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(no_dataset(dataset, name, split))
    dataset = plain_rows(dataset, name, split)
    mistakes = _unusable(name, task, dataset, split, labelled=True)
    raise_all(mistakes)
    part = dataset.select_columns(needed_columns(task, dataset))
    checked = remembered(task, split, dataset)
    if checked is None:
        labels = check_rows(name, task, split, part, mistakes).labels
        if labels.missing.all() and not mistakes:
            found = f"none of {name_count(len(dataset), f'{split} row')} has {labels.wanted}"
            mistakes.append(Mistake(f"tasks.{name}.label", found))
        raise_all(mistakes)
        of_train = [*task.label_notes(name, part, None), *train_notes(name, task, labels)] if split == "train" else []
        checked = Checked(labels, tuple(of_train))
        remember(task, split, dataset, checked)
    say_notes(checked.notes)
    notes: list[str] = []
    kept = drop_unlabelled(name, split, LabelledRows(part, checked.labels), notes)
    if is_main_process():
        for note in notes:
            logger.warning(note)
    if not keyed:
        return kept
    keys = text_keys(task, kept.dataset) if checked.keys is None else checked.keys
    remember(task, split, dataset, replace(checked, keys=keys))
    return replace(kept, keys=keys)


def _unusable(name: str, task: Task, dataset: Dataset, split: str, labelled: bool) -> list[Mistake]:
    """List the mistakes that show without a look at the rows."""
    mistakes = missing_columns(task, name, {split: dataset}, labelled)
    return mistakes if len(dataset) else [*mistakes, empty_split(name, split)]


def say_notes(notes: Iterable[str]) -> None:
    """Say what the user should know, each note once: a recipe's rows are looked at a second time by the Trainer."""
    if is_main_process():
        for note in notes:
            logger.warning_once(note)


def _say_renumbered(mistake: Mistake) -> Mistake:
    if COUNTED not in mistake.problem:
        return mistake
    remedy = f"{mistake.remedy} Rows are counted through all sources, after their filters.".strip()
    return replace(mistake, remedy=remedy)
