"""Predictions for a file of any size: rows are read, asked about and written some after others."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_mtl.data.csv_source import CSV_OPTIONS
from hf_mtl.errors import DataError, Interrupted, Mistake, RunError, UserError
from hf_mtl.inference.asked_chunks import AskedChunks, FileOptions
from hf_mtl.inference.manifest import digest
from hf_mtl.inference.partial_file import PartialFile
from hf_mtl.inference.predict_keys import read_keys
from hf_mtl.inference.row_source import PIPE, Chunk, RowSource, first_of
from hf_mtl.inference.written_rows import RowWriter, writer_for
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_SAMPLE = 1024  # numbers of each weight by which a model is known again


@dataclass
class Summary:
    """What was predicted.

    Args:
        rows: Rows that were written.
        before: Those of them that were there already.
        failed: Rows without a prediction of some task.
        cut: Rows that have lost a part, by task.
        windowed: Rows that were read in several windows, by task.
        seconds: Time since the model was there.
        notes: What the user should know of how rows were read.
        finished: Whether all of it was there already.
    """

    rows: int = 0
    before: int = 0
    failed: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    windowed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    finished: bool = False

    def add(self, facts: Mapping[str, int]) -> None:
        """Add what is known of a piece, as `AskedChunks.facts` gives it."""
        self.rows += facts.get("rows", 0)
        self.failed += facts.get("failed", 0)
        for kind, counts in (("cut", self.cut), ("windowed", self.windowed)):
            for key, count in facts.items():
                if key.startswith(f"{kind} "):
                    task = key.removeprefix(f"{kind} ")
                    counts[task] = counts.get(task, 0) + count


def check_place(source: str, output: str | None, options: FileOptions) -> PartialFile | None:
    """Refuse what can be refused before a model is loaded.

    Args:
        source: The file to read, or ``-``.
        output: The file to write; None: standard output.
        options: The options.

    Returns:
        The file to write.

    Raises:
        UserError: If a file cannot be read or written as asked.
    """
    if output is None:
        if options.resume or options.overwrite:
            asked = "--resume" if options.resume else "--overwrite"
            raise RunError(Mistake(asked, "there is no file to write", "Name one with --output"))
        return None
    if options.resume and source == PIPE:
        raise RunError(Mistake("--resume", "what came through standard input is gone", "Give the rows as a file"))
    if not output.strip():
        raise RunError(Mistake("--output", "is empty", "Name a file"))
    place = Path(output)
    if source != PIPE and place.exists() and place.samefile(source):
        raise RunError(Mistake("--output", f"{output} is the file that is read", "Name another file"))
    partial = PartialFile(place)
    partial.check(options.resume, options.overwrite)
    return partial


def predict_file(
    model: MultiTaskModel,
    tokenizer: PreTrainedTokenizerBase,
    source: str,
    output: str | None = None,
    options: FileOptions | None = None,
    write: Callable[[bytes], bool] = lambda _: True,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
) -> Summary:
    """Predict every row of a file, and write each with its predictions, in the same order.

    Rows that a task cannot read are written too: ``error`` says why. What is in memory does not grow with the file.

    Args:
        model: The model, where it is.
        tokenizer: Its tokenizer.
        source: The file: csv, JSON lines or parquet; or ``-`` for standard input.
        output: The file to write, of a format that its suffix says; None: standard output.
        options: How.
        write: Writes bytes to standard output, and says whether anybody still reads them.
        on_rows: Is told of rows that were written, and of all there are, as far as known.

    Raises:
        UserError: If the rows cannot be predicted; nothing is written then.
        DiskError: If there is no room.
        Interrupted: After Ctrl-C, if the file can be gone on with.
    """
    options = options or FileOptions()
    partial = check_place(source, output, options)
    work = _Work.of(model, tokenizer, source, output, options)
    summary, started = Summary(), time.monotonic()
    if partial is None:
        for piece, facts in work.pieces(0, on_rows):
            summary.add(facts)
            if not write(piece):
                break
    else:
        identity = work.identity(_identity(source, model, tokenizer))
        summary.finished = options.resume and not options.overwrite and partial.is_whole(identity)
        if not summary.finished:
            partial.begin(identity, options.resume)
        summary.add(partial.done)
        summary.before = summary.rows
        if not summary.finished:
            _write_pieces(partial, work.pieces(summary.rows, on_rows), summary)
            partial.finish(work.writer.made_of_bytes)
    summary.seconds, summary.notes = time.monotonic() - started, work.asked.notes
    return summary


@dataclass(frozen=True)
class _Work:
    """Rows that are still to be predicted.

    Args:
        rows: Where they are read.
        chunks: The rows.
        asked: Predicts for them.
        writer: Makes bytes of rows and predictions.
    """

    rows: RowSource
    chunks: Iterator[Chunk]
    asked: AskedChunks
    writer: RowWriter

    @classmethod
    def of(
        cls,
        model: MultiTaskModel,
        tokenizer: PreTrainedTokenizerBase,
        source: str,
        output: str | None,
        options: FileOptions,
    ) -> "_Work":
        """Read the first rows, which say what columns there are; arguments as of `predict_file`."""
        keys = read_keys(options.overrides, model.tasks, options.tasks)
        rows = RowSource(source, keys.csv)
        if keys.csv_keys and rows.kind != "csv":
            said = ", ".join(keys.csv_keys)
            raise DataError(Mistake(said, f"{source} is read as {rows.kind}", "It is an option of csv files"))
        writer = writer_for(output, rows.kind, rows.sep)
        rows.check()
        first, chunks = first_of(rows.chunks())
        asked = AskedChunks(model, tokenizer, keys, first, options)
        writer.columns = first.columns
        return cls(rows, chunks, asked, writer)

    def identity(self, known: Mapping[str, str]) -> dict[str, Any]:
        """Tell all that decides the bytes.

        Args:
            known: What the rows and the model are.
        """
        csv = {key: getattr(self.rows.options, key) for key in CSV_OPTIONS}
        return {**known, "options": {**self.asked.identity, "csv": csv}}

    def pieces(self, done: int, on_rows: Callable[[int, int | None], None]) -> Iterator[tuple[bytes, dict[str, int]]]:
        """Yield the bytes of rows with their predictions, and what is counted of them.

        Args:
            done: Rows of the file that are written already.
            on_rows: Is told how far it is.
        """
        for chunk in self.chunks:
            if chunk.first >= done:
                predicted, errors = self.asked.ask(chunk)
                yield self.writer.encode(chunk, predicted, errors), self.asked.facts(chunk, errors)
                written, share = chunk.first + len(chunk), self.rows.share
                on_rows(written, self.rows.total or (int(written / share) if share else None))


def _write_pieces(partial: PartialFile, pieces: Iterator[tuple[bytes, dict[str, int]]], summary: "Summary") -> None:
    """Write piece after piece; Ctrl-C leaves those that are whole, and a mistake none."""
    try:
        for piece, facts in pieces:
            partial.append(piece, facts)
            summary.add(facts)
    except UserError:  # of these rows and options, with which alone it could be gone on
        partial.discard()
        raise
    except KeyboardInterrupt:
        logger.warning(f"stopped by Ctrl-C after {summary.rows:,} rows, which are kept: go on with --resume.")
        raise Interrupted(str(partial.place)) from None
    finally:
        partial.close()


def _identity(source: str, model: MultiTaskModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Tell what the rows and the model are, so that predictions of others are not put together."""
    known = hashlib.sha256(model.config.to_json_string(use_diff=False).encode())
    for name, value in model.state_dict().items():
        flat = value.detach().flatten()
        # Some numbers of each weight: training moves all of them, and to read all takes as long as to load them.
        some = flat[:: max(1, flat.numel() // _SAMPLE)].float().cpu().numpy()
        known.update(name.encode() + some.tobytes())
    words = json.dumps(sorted(tokenizer.get_vocab().items()), ensure_ascii=False)
    known.update(words.encode())
    return {"input": digest(Path(source)) if source != PIPE else PIPE, "model": known.hexdigest()}
