"""Chunks of a file's rows, and what a model predicts for them as columns."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.columns import plain_values, raise_all
from hf_mtl.errors import DataError, Mistake
from hf_mtl.inference.predict_keys import RowKeys, fit_columns
from hf_mtl.inference.readable_rows import Reasons, TextColumns, first_reasons, in_memory, text_columns
from hf_mtl.inference.row_predictor import Long, RowPredictor
from hf_mtl.inference.row_source import ROWS, Chunk
from hf_mtl.inference.written_rows import ERROR, taken_column
from hf_mtl.modeling import MultiTaskModel


@dataclass(frozen=True)
class FileOptions:
    """How a file is predicted.

    Args:
        tasks: The tasks to ask; None: all.
        overrides: ``key=value``, see `read_keys`.
        everything: Whether the probabilities of all that may be predicted are written too.
        long: What becomes of texts that are longer than the model reads.
        batch_tokens: Tokens of a batch; None: as many as an evaluation has.
        resume: Whether to go on with predictions that were not finished.
        overwrite: Whether a file that is there is replaced.
    """

    tasks: Sequence[str] | None = None
    overrides: Sequence[str] = ()
    everything: bool = False
    long: Long = "cut"
    batch_tokens: int | None = None
    resume: bool = False
    overwrite: bool = False


class AskedChunks:
    """Asks a model about some rows of a file after others.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        keys: The tasks to ask, with the names of the columns that they read.
        first: The first rows, which say what columns there are.
        options: How.

    Attributes:
        notes: What the user should know of how rows were read.

    Raises:
        DataError: If the rows lack a column, or have one that predictions would be written to.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tokenizer: PreTrainedTokenizerBase,
        keys: RowKeys,
        first: Chunk,
        options: FileOptions,
    ):
        self._tasks = keys.tasks
        if first.table is not None:
            self._tasks = fit_columns(keys, {field.name: field.type for field in first.table.schema})
        elif len(first):
            if all(reason is not None for reason in first.reasons):
                found = f"none of its first {len(first):,} lines is a row: {first.reasons[0]}"
                raise DataError(Mistake("", found, "Each line of JSON lines is an object"))
            self._tasks = fit_columns(keys, dict.fromkeys(first.columns))
            raise_all(list(self._texts(first).mistakes.values()))
        other = [name for name, task in self._tasks.items() if task != keys.tasks[name]]
        self.notes = [f"{', '.join(other)}: read '{first.columns[0]}', the only column."] if other else []
        self._everything = options.everything
        self._predictor = RowPredictor(model, self._tasks, tokenizer, options.long, options.batch_tokens)
        # Columns without rows, by task and what follows its name: they tell the types.
        self._none = {
            name: task.columns(self._predictor.nothing(name), self._everything) for name, task in self._tasks.items()
        }
        named = [f"{name}.{key}" for name, columns in self._none.items() for key in columns]
        taken = [name for name in first.columns if name in (*named, ERROR)]
        if taken:
            raise DataError([taken_column(name) for name in taken])
        self._counted: dict[str, int] = {}
        self.identity: dict[str, Any] = {
            "tasks": {name: task.for_config() for name, task in self._tasks.items()},
            "everything": options.everything,
            "long": options.long,
            "batch_tokens": options.batch_tokens,
            "columns": first.columns,
            "rows": ROWS,
        }

    def ask(self, chunk: Chunk) -> tuple[dict[str, pa.Array], list[str | None]]:
        """Predict for rows.

        Args:
            chunk: The rows.

        Returns:
            Columns of predictions, null where there is none, and why a row has none of some task.
        """
        rows, marked = self._read(chunk)
        found: dict[str, list[tuple[np.ndarray, dict[str, pa.Array]]]] = {name: [] for name in self._tasks}
        if len(chunk):
            with closing(self._predictor.run(rows, marked)) as run:
                for name, places, outputs in run:
                    found[name].append((places, self._tasks[name].columns(outputs, self._everything)))
        columns = {}
        for name, parts in found.items():
            places = np.concatenate([places for places, _ in parts]) if parts else np.empty(0, dtype=np.int64)
            for key, empty in self._none[name].items():
                arrays = pa.concat_arrays([empty, *(part[key] for _, part in parts)])
                columns[f"{name}.{key}"] = _in_rows(arrays, places, len(chunk))
        return columns, _errors(marked, len(chunk))

    def facts(self, chunk: Chunk, errors: Sequence[str | None]) -> dict[str, int]:
        """Count rows, those without some prediction, and those that were cut or read in windows since the last time.

        Args:
            chunk: The rows.
            errors: What `ask` gives.
        """
        counts = {f"cut {name}": count for name, count in self._predictor.cut.items()}
        counts |= {f"windowed {name}": count for name, count in self._predictor.windowed.items()}
        new = {key: count - self._counted.get(key, 0) for key, count in counts.items()}
        self._counted = counts
        self.notes += [note for note in self._predictor.notes if note not in self.notes]
        return {"rows": len(chunk), "failed": sum(error is not None for error in errors), **new}

    def _read(self, chunk: Chunk) -> tuple[Dataset, dict[str, Reasons]]:
        """Give the columns that are read, and mark rows that hold something else there."""
        if chunk.table is not None:
            arrays = {name: plain_values(chunk.table.column(name).combine_chunks()) for name in self._read_columns}
            return in_memory(arrays), {name: chunk.reasons.copy() for name in self._tasks}
        read = self._texts(chunk)
        marked = {name: first_reasons(task, read.reasons, chunk.reasons) for name, task in self._tasks.items()}
        for name, mistake in read.mistakes.items():
            # A later part of the file than the first, where it is refused.
            marked[name] = np.array([reason or mistake.problem for reason in marked[name]], dtype=object)
        return in_memory(read.arrays), marked

    def _texts(self, chunk: Chunk) -> TextColumns:
        """Give the columns that are read, of rows that have columns of their own."""
        values = {name: [record.get(name) for record in chunk.records or ()] for name in self._read_columns}
        return text_columns(values, self._tasks)

    @property
    def _read_columns(self) -> list[str]:
        return list(dict.fromkeys(column for task in self._tasks.values() for column in task.text_columns))


def _in_rows(values: pa.Array, places: np.ndarray, count: int) -> pa.Array:
    """Put values where their rows are, and null elsewhere, [count]."""
    source = np.full(count, -1, dtype=np.int64)
    source[places] = np.arange(len(places))
    return values.take(pa.array(source, mask=source < 0))


def _errors(marked: Mapping[str, Reasons], count: int) -> list[str | None]:
    """Say of each row why it has no prediction: of which tasks, unless all have the same reason."""
    found: list[str | None] = [None] * count
    some = np.zeros(count, dtype=bool)
    for reasons in marked.values():
        some |= np.array([reason is not None for reason in reasons], dtype=bool)
    for row in np.flatnonzero(some).tolist():
        whose: dict[str, list[str]] = {}
        for name, reasons in marked.items():
            if reasons[row] is not None:
                whose.setdefault(reasons[row], []).append(name)
        said = []
        for reason, names in whose.items():
            said.append(reason if len(names) == len(marked) else f"{', '.join(names)}: {reason}")
        found[row] = "; ".join(said)
    return found
