"""The text of a drafted recipe: what was guessed, why, and what to do next."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.drafting.backbones import Encoder, fit_length
from hf_mtl.drafting.columns import ROWS
from hf_mtl.drafting.page import command, comment, flow, mapping
from hf_mtl.drafting.settle import Settled

if TYPE_CHECKING:
    from hf_mtl.drafting.draft import Dataset

_NOTES = 5


def recipe_text(
    words: Sequence[str], datasets: Sequence["Dataset"], encoder: Encoder, longest: int, path: Path
) -> str:
    """Write a recipe.

    Args:
        words: What the user named.
        datasets: The datasets with their tasks.
        encoder: The encoder.
        longest: How many tokens most texts have at most.
        path: Where it will stand; paths in it are relative to its folder.
    """
    tasks = [task for item in datasets for task in item.tasks]
    lines = [*_head(words, path), "", *_model(encoder, longest), "", "tasks:"]
    for item in datasets:
        lines += _tasks(item, path.absolute().parent)
    lines += [*_mixture(datasets), "", *_training(tasks, encoder, longest, path)]
    return "\n".join(lines) + "\n"


def _head(words: Sequence[str], path: Path) -> Iterator[str]:
    shown = ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
    yield from comment(f"Drafted by hf-mtl init from {shown}.")
    yield from comment("Nothing is certain: each comment says what was guessed, and why. Change what is wrong, then")
    yield "#"
    yield command("hf-mtl", "plan", path.name)
    yield command("hf-mtl", "train", path.name)
    yield "#"
    yield from comment(f"Guesses are about the first {ROWS:,} rows of train. hf-mtl schema --markdown has every key.")


def _model(encoder: Encoder, longest: int) -> Iterator[str]:
    length = fit_length(longest, encoder)
    why = {
        "backbone": encoder.why,
        "max_length": f"95% of the texts have about {longest} tokens or less; plan counts what is cut",
    }
    keys: dict[str, Any] = {**encoder.keys, "max_length": length}
    if not encoder.pretrained:
        keys |= {"dropout": 0.1, "pooling": "mean", "head": "linear"}
    yield "model:"
    yield from mapping(keys, 2, why, deep=("backbone",))


def _tasks(item: "Dataset", folder: Path) -> Iterator[str]:
    """Write the tasks of a dataset, and what else its columns may be."""
    counts = ", ".join(f"{len(part):,} rows of {split}" for split, part in item.loaded.splits.items())
    yield ""
    yield from comment(
        f"{item.given.shown}: {counts}.",
        2,
    )
    for note in (*item.given.why, *item.loaded.notes):
        yield from comment(note, 2)
    if len(item.tasks) > 1:
        yield from comment(
            "Its tasks read the same texts: where they are read alike, one pass of the encoder serves all.", 2
        )
    for doubt in item.doubts:
        yield from comment(doubt, 2)
    for task in item.tasks:
        yield from _task(task, item, folder)


def _task(task: Settled, item: "Dataset", folder: Path) -> Iterator[str]:
    source = item.given.relative_to(folder)
    source |= {key: value for key, value in task.source.items() if key not in source}
    why = dict(task.guess.why)
    if "filter" in source:
        more = "rows without a text are left out by the filter"
        why["dataset"] = f"{why['dataset']}. {more.capitalize()}" if "dataset" in why else more
    keys = {"type": task.guess.keys["type"], "dataset": source, **task.guess.keys}
    yield f"  {flow(task.name)}:"
    yield from mapping(keys, 4, why, deep=("dataset", "data_files"))
    for other in task.guess.others:
        yield from comment(other, 4)
    for note in task.notes[:_NOTES]:
        yield from comment(note, 4)
    if not task.rows.get("test"):
        yield from comment("No test rows, which train --test and compare need: test_fraction: 0.1 carves some.", 4)


def _mixture(datasets: Sequence["Dataset"]) -> Iterator[str]:
    """Say how often tasks are drawn and how their losses weigh, where there are several."""
    tasks = [task for item in datasets for task in item.tasks]
    sizes = [max(task.rows["train"] for task in item.tasks) for item in datasets]
    if max(sizes) > 2 * min(sizes):
        yield ""
        yield from comment(
            f"Datasets have {min(sizes):,} to {max(sizes):,} training rows: 1 draws by size, larger evens them out."
        )
        yield "mixture: {temperature: 2.0}"
    if len(tasks) > 1:
        yield ""
        yield from comment(
            "Each task learns how much its loss weighs, as losses of several kinds have several scales."
        )
        yield "balancing: {weighting: uw}"


def _training(tasks: Sequence[Settled], encoder: Encoder, longest: int, path: Path) -> Iterator[str]:
    rows = sum(task.rows["train"] for task in tasks)
    epochs = 3 if rows >= 5000 else 5 if rows >= 1000 else 10
    scored = any("validation" in task.rows for task in tasks)
    keys: dict[str, Any] = {
        "output_dir": f"runs/{path.stem}",
        "seed": 0,
        "num_train_epochs": epochs if encoder.pretrained else 2 * epochs,
        "per_device_train_batch_size": 32 if fit_length(longest, encoder) <= 128 else 16,
        "learning_rate": 5e-5 if encoder.pretrained else 2e-3,
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "logging_steps": 50,
    }
    why = {
        "output_dir": "the run's folder, from where the command is started",
        "num_train_epochs": f"{rows:,} rows to train on; fewer want more passes",
        "per_device_train_batch_size": "rows of all tasks together; halve it where memory is short",
        "learning_rate": "usual for fine-tuning" if encoder.pretrained else "high, as nothing is pretrained",
        "warmup_steps": "below 1: a share of the steps",
    }
    if encoder.pretrained:
        keys["head_learning_rate"] = 1e-3
        why["head_learning_rate"] = "heads begin from random weights"
    if scored:
        keys |= {"eval_strategy": "epoch", "save_strategy": "epoch", "save_total_limit": 2}
        keys |= {"load_best_model_at_end": True, "metric_for_best_model": "macro"}
        why["metric_for_best_model"] = "the mean over tasks of each one's first metric"
    yield "training:"
    yield from mapping(keys, 2, why)
    if not scored:
        yield from comment("There are too few rows to set some aside for validation: nothing is scored.", 2)
