"""The command `predict`: loads a model, shows how far it is, and says what became of the rows."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from datasets.utils import tqdm

from hf_mtl.cli import streams
from hf_mtl.data.columns import name_count
from hf_mtl.errors import Mistake, UserError, one_line
from hf_mtl.inference.asked_chunks import FileOptions
from hf_mtl.inference.predict_file import Summary, check_place, predict_file
from hf_mtl.inference.runs import load_for_use
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import shown

_MOST_NOTES = 5


def predict_rows(arguments: Namespace) -> None:
    """Predict every row of a file.

    Args:
        arguments: Those of the command.
    """
    options = FileOptions(
        tasks=None if arguments.tasks is None else [name.strip() for name in arguments.tasks.split(",")],
        overrides=arguments.overrides,
        everything=arguments.probabilities,
        long=arguments.long,
        batch_tokens=arguments.batch_tokens,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
    )
    check_place(arguments.rows, arguments.output, options)  # before the model takes seconds
    model, tokenizer = load_for_use(arguments.target)
    _move(model, arguments.device)
    with _progress() as on_rows:
        summary = predict_file(model, tokenizer, arguments.rows, arguments.output, options, streams.send, on_rows)
    _say(summary, arguments.output)


def _move(model: MultiTaskModel, device: str | None) -> None:
    """Bring a model to a device; None: to the accelerator, if there is one."""
    if device is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if found is None else found.type
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        model.to(device)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise UserError(Mistake("--device", f"{device} cannot be used: {one_line(error)}", "Try cpu")) from error


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None]]:
    """Show rows, their rate and the time that is left, where a terminal shows it."""
    with tqdm(unit=" rows", file=sys.stderr, disable=None, leave=False) as bar:

        def on_rows(rows: int, total: int | None) -> None:
            bar.total = total
            bar.update(rows - bar.n)

        yield on_rows


def _say(summary: Summary, output: str | None) -> None:
    """Say how many rows there were, and what some of them lack."""
    new = summary.rows - summary.before
    rate = f", {new / summary.seconds:,.0f} rows a second" if summary.seconds and new else ""
    before = f", {summary.before:,} of them from before" if summary.before else ""
    lines = [f"{output} is finished; nothing to resume."] if summary.finished else []
    lines += [
        f"{name_count(summary.rows)} {'to standard output' if output is None else f'in {output}'}{before}{rate}."
    ]
    if summary.failed:
        lines.append(f"{name_count(summary.failed)} without a prediction of some task: the column error says why.")
    for tasks, count in _together(summary.cut).items():
        lines.append(f"{tasks}: {name_count(count)} longer than the model reads, and cut.")
    for tasks, count in _together(summary.windowed).items():
        lines.append(f"{tasks}: {name_count(count)} read in several windows.")
    lines += summary.notes[:_MOST_NOTES]
    if len(summary.notes) > _MOST_NOTES:
        lines.append("There are more notes of this kind, of other rows.")
    print(shown("\n".join(lines), lines=True), file=sys.stderr)


def _together(counts: dict[str, int]) -> dict[str, int]:
    """Put tasks together of which as many rows are counted, those of one text for example."""
    tasks: dict[int, list[str]] = {}
    for name, count in counts.items():
        if count:
            tasks.setdefault(count, []).append(name)
    return {", ".join(names): count for count, names in tasks.items()}
