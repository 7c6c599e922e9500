"""All that is said of some runs, and its files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, UserError
from hf_mtl.evaluation import Trust
from hf_mtl.experiments.diagnose.early import early_signals
from hf_mtl.experiments.diagnose.features import Features, read_features, read_heads
from hf_mtl.experiments.diagnose.figures import draw_diagnosis
from hf_mtl.experiments.diagnose.likeness import head_likeness, layer_likeness, subspace_likeness
from hf_mtl.experiments.diagnose.readings import cluster_layers, probe_layers, task_silhouettes
from hf_mtl.experiments.diagnose.subjects import Subject, TaskRows, opened_subjects, shared_rows
from hf_mtl.inference.new_folder import made_whole
from hf_mtl.reporting.json_files import write_json_atomic

ROWS = 500
"""Rows of each task, and training rows for its probes, unless others are asked for."""
FEWEST = 8


def diagnose_runs(
    paths: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    split: str = "validation",
    rows: int = ROWS,
    allow_code: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Look into the encoders of runs: how alike layers, tasks and runs are, and what can be read off each layer.

    All runs read the same rows: of each task those of the first run that has it, with each run's own tokenizer.

    Args:
        paths: Folders of runs, their checkpoints, Hub ids of models that were pushed with their recipe, or recipes
            whose runs are in their ``training.output_dir``.
        overrides: ``key=value`` that replace keys of their recipes, such as other rows.
        split: ``train``, ``validation`` or ``test``: which rows are compared.
        rows: The most rows of each task, and the most training rows for its probes; drawn with a seed.
        allow_code: Whether code that a run's recipe names may be run.
        say: Told what comes next.

    Returns:
        What ``diagnosis.json`` holds: ``runs``, ``split``, ``rows``, ``cka``, ``heads``, ``subspaces``, ``probes``,
        ``clusters``, ``task_silhouettes``, ``early`` and ``notes``.

    Raises:
        UserError: If a run cannot be opened, or its rows cannot be used.
    """
    if rows < FEWEST:
        raise UserError(Mistake("--rows", f"found {rows}", f"Allowed: {FEWEST} or more, which can be compared"))
    with opened_subjects(paths, overrides, allow_code) as subjects:
        shared = shared_rows(subjects, split, rows)
        say(f"Reading rows of {', '.join(shared)} with {', '.join(subject.name for subject in subjects)}")
        features, notes = read_features(subjects, shared, split)
        heads = read_heads(subjects, features)
        say("Comparing layers, tasks and runs")
        likeness = {
            "cka": layer_likeness(features),
            "heads": head_likeness(heads),
            "subspaces": subspace_likeness(features),
        }
        say("Fitting probes and clusters to every layer")
        return {
            "runs": [subject.facts() for subject in subjects],
            "split": split,
            "rows": {name: len(found.rows) for name, found in features[subjects[0].name].items()},
            **likeness,
            "probes": probe_layers(features, shared, Trust.of(allow_code)),
            "clusters": cluster_layers(features, heads, shared),
            "task_silhouettes": task_silhouettes(features),
            "early": early_signals(subjects),
            "notes": [*notes, *_notes(subjects, features, shared)],
        }


def _notes(subjects: Sequence[Subject], features: Features, shared: Mapping[str, TaskRows]) -> list[str]:
    """Say what a reader should know of how the numbers came about."""
    notes = []
    rows = sum(len(found.rows) for found in features[subjects[0].name].values())
    widest = max(int(subject.model.config.hidden_size) for subject in subjects)
    if rows < 5 * widest:
        notes.append(
            f"Linear CKA of {rows:,} rows of {widest:,} features is too high, as rows are fewer than 5 times the "
            "features; the debiased form, which the figures show, is not."
        )
    for subject in subjects:
        if subject.model.config.pooling == "cls":
            notes.append(
                f"{subject.name}: rows are read at their first token (pooling cls), which is the same for all before "
                "the first layer: nothing can be said of layer 0."
            )
        if subject.model.private_adapters is None:
            continue
        others = [name for name in shared if name not in subject.model.tasks]
        said = "" if not others else f"; those of {', '.join(others)}, which it does not have, through none"
        notes.append(f"{subject.name}: rows go through the adapter of their own task{said}.")
    for name, given in shared.items():
        if given.train is None:
            notes.append(f"{name}: there are no training rows to fit probes to.")
    return [*notes, *_uncompared_heads(subjects, features, shared)]


def _uncompared_heads(
    subjects: Sequence[Subject], features: Features, shared: Mapping[str, TaskRows]
) -> Iterator[str]:
    """Say why a head is not among those that are compared."""
    for name, given in shared.items():
        runs = [subject for subject in subjects if name in subject.model.tasks and len(subject.model.tasks) > 1]
        if given.task.outputs_per != "row" and runs:
            per = given.task.outputs_per
            yield f"{name}: its head is compared with no other: heads are by row, and it has an output per {per}."
            continue
        for subject in runs:
            if features[subject.name][name].features.outputs is None:
                owner = subjects[given.owner].name
                yield f"{subject.name}: the head of {name} is compared with no other: its labels are not {owner}'s."


def write_diagnosis(found: Mapping[str, Any], place: Path) -> list[str]:
    """Write ``diagnosis.json`` and the figures: all of them, or nothing.

    Args:
        found: As from `diagnose_runs`.
        place: A folder that is new or empty.

    Returns:
        The names of the files.

    Raises:
        DiskError: If something cannot be written.
    """
    with made_whole(place) as staged:
        write_json_atomic(staged / "diagnosis.json", found)
        figures = draw_diagnosis(found, staged / "figures")
        return ["diagnosis.json", *(f"figures/{name}" for name in figures)]
