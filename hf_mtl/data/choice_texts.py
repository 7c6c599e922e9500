"""Choices as sequences of tokens: each with the context of its row, which is cut before a choice is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Formatter

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.cache import kept_tokens
from hf_mtl.data.choice_lists import choice_counts, choice_lists
from hf_mtl.data.columns import arrow_column, name_count
from hf_mtl.data.text_batches import ROWS, Strategy, TextBatch, token_counts, tokenised
from hf_mtl.data.tokenize import check_room, longest_row
from hf_mtl.data.tokens import TokenStore
from hf_mtl.tasks.layout import LaidOut, RowSites

_ROWS = ROWS // 4  # of which each has several sequences
_FORMAT = 1  # of the rows in the cache; another number finds none of those of before


def template_fields(template: str) -> set[str]:
    """Find what a template has a place for.

    Raises:
        ValueError: If it is none, such as one with a brace that is not closed.
    """
    parts = list(Formatter().parse(template))
    if any(field is not None and (spec or conversion) for _, field, spec, conversion in parts):
        raise ValueError("a name alone between braces")
    return {field for _, field, _, _ in parts if field is not None}


@dataclass(frozen=True)
class ChoiceTexts:
    """How the texts of a row become sequences.

    Args:
        context: Column of the first text of each sequence; None: a choice stands alone.
        question: Column of a text that is joined with each choice; None: there is none.
        choices: A column of lists, or a column for each choice.
        template: What stands for a choice, with ``{choice}`` and ``{question}`` in it.
    """

    context: str | None
    question: str | None
    choices: str | list[str]
    template: str

    @property
    def texts(self) -> int:
        """Texts of a sequence, 1 or 2."""
        return 1 if self.context is None else 2

    def sequences(self, dataset: Dataset, rows: Sequence[int] | None = None) -> Iterator[list[list[str]]]:
        """Yield the texts of the sequences of some rows after others: of each the contexts, and what comes second.

        Args:
            dataset: Rows without a mistake.
            rows: Which of them; None: all.
        """
        dataset = dataset if rows is None else dataset.select(rows)
        lists = choice_lists(dataset, self.choices)
        contexts, questions = (self._column(dataset, column) for column in (self.context, self.question))
        for start in range(0, len(dataset), _ROWS):
            choices = lists.slice(start, _ROWS).to_pylist()
            asked = [""] * len(choices) if questions is None else questions.slice(start, _ROWS).to_pylist()
            seconds = [
                self.template.format(question=question, choice=choice)
                for question, row in zip(asked, choices, strict=True)
                for choice in row
            ]
            if contexts is None:
                yield [seconds]
                continue
            firsts = contexts.slice(start, _ROWS).to_pylist()
            yield [[first for first, row in zip(firsts, choices, strict=True) for _ in row], seconds]

    def lay_out(
        self, name: str, split: str, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int | None
    ) -> LaidOut:
        """Tokenise rows, a sequence for each choice, and keep them in the cache of `datasets`.

        Args:
            name: The task's name.
            split: The split's name.
            dataset: Rows without a mistake.
            tokenizer: The tokenizer.
            max_length: Longest sequence in tokens; None: what the tokenizer says.

        Raises:
            DataError: If ``max_length`` leaves no room for text.
        """
        check_room(tokenizer, max_length, self.texts)
        limit = longest_row(tokenizer, max_length)
        takes_types = "token_type_ids" in tokenizer.model_input_names
        columns = [self.choices] if isinstance(self.choices, str) else self.choices
        read = [column for column in (self.context, self.question, *columns) if column is not None]
        texts = dataset.select_columns(list(dict.fromkeys(read)))
        counts = choice_counts(choice_lists(texts, self.choices))

        def batches() -> Iterator[TextBatch]:
            return tokenised(self.sequences(texts), tokenizer, limit, takes_types, keep_choices)

        made = (tokenizer, "choices", _FORMAT, self, limit, takes_types)
        tokens = kept_tokens(texts, made, takes_types, batches, int(counts.sum()))
        starts = np.concatenate([[0], np.cumsum(counts)])
        notes = list(self._cut_choices(name, split, texts, tokens, starts, tokenizer, limit))
        return LaidOut(tokens, RowSites("sequence", starts), notes=notes)

    def _cut_choices(
        self,
        name: str,
        split: str,
        texts: Dataset,
        tokens: TokenStore,
        starts: NDArray[np.int64],
        tokenizer: PreTrainedTokenizerBase,
        limit: int,
    ) -> Iterator[str]:
        """Say how many choices have lost their ends, for which there was no room even without the context."""
        rows = np.unique(np.searchsorted(starts, np.flatnonzero(tokens.cut), side="right") - 1)
        if not len(rows):
            return
        again = self.sequences(texts, rows.tolist())
        long = np.concatenate([_are_long(parts[-1], tokenizer, limit, len(parts)) for parts in again])
        if not long.any():
            return
        owner = np.repeat(rows, np.diff(starts)[rows])
        choices, cut = name_count(int(long.sum()), "choice"), name_count(len(np.unique(owner[long])), f"{split} row")
        yield (
            f"{name}: {choices} of {cut} had to be cut too, since the limit of {limit} tokens leaves no room for the "
            "whole of such a choice; raise model.max_length, or leave these rows out."
        )

    @staticmethod
    def _column(dataset: Dataset, column: str | None) -> pa.Array | None:
        return None if column is None else arrow_column(dataset, column)


def keep_choices(
    texts: Sequence[list[str]], tokenizer: PreTrainedTokenizerBase, limit: int
) -> Sequence[tuple[Strategy, Sequence[int] | None]]:
    """Cut contexts alone, but where what comes second leaves them no room: there the longer text.

    Args:
        texts: The contexts of sequences and what comes second, or what stands alone.
        tokenizer: The tokenizer.
        limit: Longest sequence in tokens.
    """
    if len(texts) == 1:
        return [("longest_first", None)]
    long = _are_long(texts[1], tokenizer, limit, 2)
    if long.all() or not long.any():
        return [("longest_first" if long.all() else "only_first", None)]
    return [("only_first", np.flatnonzero(~long).tolist()), ("longest_first", np.flatnonzero(long).tolist())]


def _are_long(texts: list[str], tokenizer: PreTrainedTokenizerBase, limit: int, of: int) -> NDArray[np.bool_]:
    """Tell for which texts there is no room beside special tokens, and one token of the context where there is one.

    Args:
        texts: What stands in each sequence for its choice.
        tokenizer: The tokenizer.
        limit: Longest sequence in tokens.
        of: Texts of a sequence, 1 or 2.
    """
    room = limit - tokenizer.num_special_tokens_to_add(pair=of == 2) - (of - 1)
    found: NDArray[np.bool_] = token_counts(texts, tokenizer) > room
    return found
