"""A model that is asked about rows: what it makes of each, in one pass for all tasks that read the same text."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.batch import to_device
from hf_mtl.data.collate import Collator
from hf_mtl.data.rectangles import default_group_cost, default_run_cost
from hf_mtl.data.token_budget import BatchLimit, cut_by_size, default_eval_tokens
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import lay_out
from hf_mtl.inference.encoder_limits import check_token_ids, padding_id, row_limit
from hf_mtl.inference.long_texts import check_windows, in_windows
from hf_mtl.inference.readable_rows import Reasons, in_memory, unreadable
from hf_mtl.inference.waiting_outputs import ReadRows, WaitingOutputs
from hf_mtl.modeling import Head, MultiTaskModel
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.tasks import Task
from hf_mtl.tasks.predicting import RowOutputs

Long: TypeAlias = Literal["cut", "chunk"]
"""What becomes of texts that are longer than the model reads, for tasks with one output for a row."""

_MOST_NOTES = 20
_PIECE = 1 << 20  # outputs that are in memory before they become predictions


class Found(NamedTuple):
    """What a model has made of some rows for one task.

    Args:
        task: The task's name.
        rows: Which rows, int64 [m].
        outputs: What it has made of them.
    """

    task: str
    rows: NDArray[np.int64]
    outputs: RowOutputs


@dataclass(eq=False)
class RowPredictor:
    """Asks a model about rows.

    Args:
        model: The model, where it is; nothing of it changes but how rows reach its encoder, which is settled once.
        tasks: The tasks to ask about, which may read other columns than the model's own.
        tokenizer: The tokenizer.
        long: What becomes of texts that are longer than the model reads: ``cut``, or read in overlapping windows
            whose outputs are averaged (``chunk``). Tags and answers are always read in windows, and choices cut.
        batch_tokens: Tokens of a batch; None: as many as an evaluation has.

    Attributes:
        cut: Rows that have lost a part, by task.
        windowed: Rows that were read in several windows, by task.
        notes: What the user should know of how rows were read, each once.

    Raises:
        ModelError: If the tokenizer cannot make windows.
    """

    model: MultiTaskModel
    tasks: Mapping[str, Task]
    tokenizer: PreTrainedTokenizerBase
    long: Long = "cut"
    batch_tokens: int | None = None
    cut: dict[str, int] = field(default_factory=dict)
    windowed: dict[str, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.long == "chunk":
            check_windows(self.tokenizer)
        settled = self.model._features.settled
        if settled is None or settled.place[0] != str(self.model.device):  # a Trainer's choice stays
            self.model.settle_layout("auto" if settled is None else settled.asked)
        self._max_length = row_limit(self.model, self.tokenizer)
        self._pad_id = padding_id(self.model, self.tokenizer)
        self._uncertain = any(task.real_valued for task in self.tasks.values())

    def run(self, rows: Dataset, marked: Mapping[str, Reasons]) -> Generator[Found]:
        """Ask about rows, and mark those that have no prediction.

        While it is not at its end or closed, the model is in eval mode and nothing is differentiated.

        Args:
            rows: Rows with the text columns of the tasks, in memory.
            marked: By task: why each row has none, None where nothing is known against it, [n]; it is added to.

        Yields:
            What was found for some rows and one task; each row that is not marked comes once for each task.

        Raises:
            UserError: If the rows cannot be encoded at all, for example as a limit leaves no room for text.
        """
        read = self._read(rows, marked)
        if not read:
            return
        # Not inference_mode: what an encoder keeps of it, such as a table of positions, could not be trained with.
        with in_passing(self.model), torch.no_grad():
            yield from self._outputs(read, marked)

    def nothing(self, name: str) -> RowOutputs:
        """Return what the model makes of no rows.

        Args:
            name: One of the tasks.
        """
        task, module = self.tasks[name], self.model.heads.of(name)
        places = {"row": (), "sequence": (1,), "token": (1,), "window": (1, 1)}[task.outputs_per]
        outputs = np.empty((0, *places, task.num_outputs), dtype=np.float32)
        kinds = [
            pa.large_list(pa.large_string()) if one in task.text_lists else pa.large_string()
            for one in task.text_columns
        ]
        rows = in_memory({one: pa.array([], kind) for one, kind in zip(task.text_columns, kinds, strict=True)})
        decodes = task.real_valued and type(module.head).variance is not Head.variance
        return RowOutputs(outputs, rows, np.empty(0, dtype=object), outputs if decodes else None)

    # ---- from rows to tokens ----

    def _read(self, rows: Dataset, marked: Mapping[str, Reasons]) -> dict[str, ReadRows]:
        """Tokenise the rows of each task; those of tasks that read the same once."""
        read: dict[str, ReadRows] = {}
        same: dict[tuple[object, ...], ReadRows] = {}
        for name, task in self.tasks.items():
            columns = list(dict.fromkeys(task.text_columns))
            # Each selection costs `datasets` a millisecond, which counts where rows come one by one.
            own = rows if columns == rows.column_names else rows.select_columns(columns)
            reasons = marked[name]
            for place, reason in enumerate(unreadable(name, task, own)):
                reasons[place] = reasons[place] or reason
            mine = _unmarked(reasons)
            if not len(mine):
                continue
            key = (*task.text_columns, task.max_length, task.truncation_side, mine.tobytes())
            alike = same.get(key) if task.outputs_per == "row" else None
            if alike is None:
                alike = self._encoded(name, task, own, mine)
                if task.outputs_per == "row":
                    same[key] = alike
            read[name] = self._without_empty(alike, reasons, len(rows))
            self._count(name, read[name].split)
        check_token_ids(self.model, {name: one.split for name, one in read.items()}, self.tokenizer, self.tasks)
        return {name: one for name, one in read.items() if len(one.rows)}

    def _encoded(self, name: str, task: Task, texts: Dataset, rows: NDArray[np.int64]) -> ReadRows:
        own = texts if len(rows) == len(texts) else texts.select(rows)
        split, notes = lay_out(name, task, own, None, self.tokenizer, self._max_length, "given")
        if len(self.notes) < _MOST_NOTES:  # there may be one for each of very many parts
            self.notes |= dict.fromkeys(notes)
        if self.long == "chunk" and task.outputs_per == "row":
            split = in_windows(split, task, own, self.tokenizer, self._max_length)
        return ReadRows(rows, own, replace(split, labelled=False), np.empty(0, dtype=np.int64))

    @staticmethod
    def _without_empty(read: ReadRows, reasons: Reasons, count: int) -> ReadRows:
        """Mark rows of which the tokenizer leaves nothing: there is nothing to encode."""
        split = read.split
        starts = np.arange(len(split) + 1) if split.sites is None else split.sites.starts
        kept = np.minimum.reduceat(split.tokens.lengths, starts[:-1]) > 0
        reasons[read.rows[~kept]] = "the tokenizer leaves no token of its text"
        rows, texts = read.rows, read.texts
        if not kept.all():
            some = np.flatnonzero(kept)
            rows, texts, split = rows[some], texts.select(some), split.select(some)
        place = np.full(count, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        return ReadRows(rows, texts, split, place)

    def _count(self, name: str, split: EncodedSplit) -> None:
        sites = split.sites
        several = 0 if sites is None or sites.per != "sequence" else int((np.diff(sites.starts) > 1).sum())
        chosen = self.tasks[name].outputs_per == "sequence"
        self.cut[name] = self.cut.get(name, 0) + split.truncated
        self.windowed[name] = self.windowed.get(name, 0) + (0 if chosen else several)

    # ---- from tokens to outputs ----

    def _outputs(self, read: Mapping[str, ReadRows], marked: Mapping[str, Reasons]) -> Iterator[Found]:
        model, names = self.model, list(read)
        cost = default_run_cost(model.device) if model.packs else default_group_cost(model.device)
        collator = Collator({name: one.split for name, one in read.items()}, self._pad_id, cost)
        waiting = {name: WaitingOutputs(self.tasks[name], one, marked[name]) for name, one in read.items()}
        for rows in self._batches(list(read.values())):
            places = [read[name].place[rows] for name in names]
            there = [mine[mine >= 0] for mine in places]
            tasks = np.repeat(np.arange(len(names)), [len(mine) for mine in there])
            batch = collator(tasks, np.concatenate(there))
            output = model(**to_device(batch, model.device), uncertainty=self._uncertain)
            for name, mine in zip(names, there, strict=True):
                if len(mine):
                    variances = (output.variances or {}).get(name)
                    waiting[name].add(mine, output.logits[name], variances)
                    if (found := waiting[name].taken(_PIECE)) is not None:
                        yield Found(name, *found)
        for name in names:
            if (found := waiting[name].taken()) is not None:
                yield Found(name, *found)

    def _batches(self, read: Sequence[ReadRows]) -> list[NDArray[np.int64]]:
        """Cut rows into batches: similar lengths together, and a text that several tasks read counts once."""
        lengths = np.zeros(len(read[0].place), dtype=np.int64)
        for one in {id(one.split.tokens): one for one in read}.values():
            lengths[one.rows] += one.split.lengths
        rows = np.flatnonzero(lengths)
        tokens = self.batch_tokens or default_eval_tokens(self.model.device)
        limit = BatchLimit(tokens, padded=not self.model.packs)
        return [rows[batch] for batch in cut_by_size(lengths[rows], limit)]


def _unmarked(reasons: Reasons) -> NDArray[np.int64]:
    return np.flatnonzero(np.array([reason is None for reason in reasons], dtype=bool))
