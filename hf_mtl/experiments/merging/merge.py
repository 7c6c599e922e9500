"""Single-task runs become one multi-task model, by one method."""

import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_mtl.evaluation.aggregates import lower_is_better, task_score
from hf_mtl.experiments.merging.arithmetic import METHODS, Weights, moved, scales_of
from hf_mtl.experiments.merging.parts import Part, Parts
from hf_mtl.experiments.merging.price import price
from hf_mtl.experiments.merging.refusals import check_method, check_scale
from hf_mtl.experiments.results import Record
from hf_mtl.inference import manifest
from hf_mtl.inference.join import join_runs
from hf_mtl.inference.new_folder import check_free, made_whole
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import find_tokenizer, save_without_state
from hf_mtl.progress import no_bars
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.scoring.kept_rows import TEST_ROWS, KeptRows, Listener, write_rows
from hf_mtl.training.scoring.scoring import Scores

RECORD = "merging.json"
"""The file of a merged model's folder that says what it scores, and how it was made."""


def merge(run_folders: Mapping[str, Path], method: str, output: Path, allow_code: bool = False) -> Record:
    """Merge the encoders of single-task runs, keep every task's own head, and score the model that this makes.

    Adapters are merged into their encoders first, so that encoders are merged and never adapters: the product of two
    averages of low rank is not the average of the products. λ is the one with the best average of the tasks' scores
    on validation, the smallest of equal ones; the test rows are scored once, with that. For each λ, what a run chose
    on its validation rows at its end (thresholds, temperatures) is chosen anew.

    Args:
        run_folders: The folder of each task's run, which has trained that task alone.
        method: ``average``, ``task_arithmetic`` or ``ties``.
        output: The folder of the merged model, its tokenizer, its record, ``merging.json``, and the test rows with
            what their scores read, as a run keeps them. It must not be there, or be empty.
        allow_code: Whether code that the runs' recipes name may be run.

    Returns:
        A record of a study as far as the runs' folders say it: ``{"kind": "merged", "arm": method, "validation",
        "test", "scores", "lower_is_better", "scale", "searched", "price", "notes", "test_notes"}``.

    Raises:
        UserError: If the runs cannot be merged, or the folder is not free; says why, and writes nothing.
        DiskError: If the folder cannot be written.
    """
    check_method(method)
    check_free(output, "output")
    with no_bars():
        return merge_parts(Parts.open(run_folders, allow_code), method, output)


def merge_parts(parts: Parts, method: str, output: Path, known: Mapping[str, Any] | None = None) -> Record:
    """Merge runs that are open; see `merge`.

    Args:
        parts: The runs.
        method: The method.
        output: The folder of the merged model.
        known: What else its record says.
    """
    check_scale(method, parts)
    began = time.perf_counter()
    direction = METHODS[method](parts.begin, [part.trained for part in parts.parts])
    tried = {scale: _validated(parts, moved(parts.begin, direction, scale)) for scale in scales_of(method)}
    averages = {scale: _average(parts, found) for scale, found in tried.items()}
    scale = max(averages, key=lambda each: -math.inf if math.isnan(averages[each]) else averages[each])
    weights = moved(parts.begin, direction, scale)
    for part in parts.parts:
        part.set_encoder(weights)
    kept = KeptRows()
    found = {"validation": tried[scale], "test": _scored(parts, "test", kept)}
    test_notes = [note for scores in found["test"].values() for note in scores.notes]
    record = {
        "kind": "merged",
        "arm": method,
        **(known or {}),
        **scores_of(parts, found),
        "wall": round(time.perf_counter() - began, 3),
        "scale": scale,
        "searched": {f"{each:g}": value for each, value in averages.items()},
        "notes": [*test_notes],
        "test_notes": test_notes,
    }
    if not direction:
        record["notes"].append("The encoders are as they began, so that there was nothing to merge.")
    return _write(parts, output, record, kept)


def scores_of(parts: Parts, found: Mapping[str, Mapping[str, Scores]]) -> Record:
    """Put scores as a study's record has them.

    Args:
        parts: The runs.
        found: The scores of each task, by split.
    """
    tasks = {part.task: part.settings for part in parts.parts}
    values = {split: {task: each.tasks[task] for task, each in mine.items()} for split, mine in found.items()}
    scores = {
        split: {task: task_score(value, tasks[task]) for task, value in mine.items()}
        for split, mine in values.items()
    }
    return {**values, "scores": scores, "lower_is_better": lower_is_better(tasks)}


def _validated(parts: Parts, weights: Weights) -> dict[str, Scores]:
    """Score an encoder on the validation rows of every task that has any."""
    for part in parts.parts:
        part.set_encoder(weights)
    return _scored(parts, "validation")


def _scored(parts: Parts, split: str, listener: Listener | None = None) -> dict[str, Scores]:
    found = {part.task: part.scores(split, listener) for part in parts.parts}
    return {task: scores for task, scores in found.items() if scores is not None}


def _average(parts: Parts, found: Mapping[str, Scores]) -> float:
    """Average the scores of the tasks; NaN where one is, or none has rows."""
    scores = [
        task_score(found[part.task].tasks[part.task], part.settings) for part in parts.parts if part.task in found
    ]
    return sum(scores) / len(scores) if scores else math.nan


# ---- The model ----


def _write(parts: Parts, output: Path, record: Record, kept: KeptRows) -> Record:
    """Write the merged model, of which every run has the encoder now, its record and its test rows."""
    with made_whole(output) as folder, tempfile.TemporaryDirectory(dir=folder.parent, prefix=".parts-") as own:
        model = _joined(parts, Path(own), folder)
        record = {**record, "price": price(parts, model)}
        write_json_atomic(folder / RECORD, record)
        if kept.tasks:
            write_rows(folder / TEST_ROWS, kept.tasks)
        manifest.seal(folder)
    return record


def _joined(parts: Parts, own: Path, folder: Path) -> MultiTaskModel:
    """Put the heads of all runs on the encoder that they have now."""
    shared = next((part.model.config.pooling for part in parts.parts if part.reads_pooled), None)
    names = []
    for number, part in enumerate(parts.parts):
        if shared is not None:
            part.model.config.pooling = shared  # the others read none of it
        names.append(_saved(part, own / str(number)))
    return join_runs(names, folder)


def _saved(part: Part, folder: Path) -> Path:
    part.model.save_pretrained(folder)
    save_without_state(find_tokenizer(part.run.prepared.tokenizer), folder)
    return folder
