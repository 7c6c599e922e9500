"""Rows as an encoder leaves them: the states of their tokens, end to end, and one vector of each on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Pooling = Literal["cls", "mean", "last", "max"]


@dataclass(frozen=True)
class Encoded:
    """Hidden states of the tokens of R rows, end to end.

    Args:
        states: Hidden states [N, H].
        offsets: Where each row starts, and the end, int64 [R + 1]. No row is without tokens.
        pooler_output: What the backbone's own pooler makes of each row [R, H]; None: it has none, or nobody asked.
        counts: Tokens of each row, on the host; None: only the device knows, and is waited for where they matter.
    """

    states: Tensor
    offsets: Tensor
    pooler_output: Tensor | None = None
    counts: Sequence[int] | None = None

    @property
    def lengths(self) -> Tensor:
        """Tokens of each row, [R]."""
        return self.offsets.diff()

    @property
    def row_of_token(self) -> Tensor:
        """Row of each token, [N]."""
        rows = torch.arange(len(self.offsets) - 1, device=self.offsets.device)
        # With the size said, a GPU need not be waited for.
        return rows.repeat_interleave(self.lengths, output_size=self.states.shape[0])

    def first(self) -> Tensor:
        """State of each row's first token, [R, H]."""
        return self.states.index_select(0, self.offsets[:-1])

    def last(self) -> Tensor:
        """State of each row's last token, [R, H]."""
        return self.states.index_select(0, self.offsets[1:] - 1)

    def mean(self) -> Tensor:
        """Mean over each row's tokens, [R, H]; added up in float32, since a long row overflows float16."""
        dtype = torch.promote_types(self.states.dtype, torch.float32)
        return (self.sum(self.states.to(dtype)) / self.lengths[:, None]).to(self.states.dtype)

    def sum(self, values: Tensor) -> Tensor:
        """Add up values of tokens [N, ...] over each row, [R, ...]."""
        if values.is_cuda:
            # Row by row in a fixed order; index_add would add in the order in which threads arrive.
            found: Tensor = torch.segment_reduce(values, "sum", offsets=self.offsets, axis=0, unsafe=True)
            return found
        return values.new_zeros(len(self.offsets) - 1, *values.shape[1:]).index_add(0, self.row_of_token, values)

    def max(self) -> Tensor:
        """Largest value over each row's tokens, [R, H]."""
        return self.largest(self.states)

    def largest(self, values: Tensor) -> Tensor:
        """Take the largest of values of tokens [N, F] over each row, [R, F]."""
        rows = self.row_of_token[:, None].expand(-1, values.shape[1])
        start = values.new_zeros(len(self.offsets) - 1, values.shape[1])
        return start.scatter_reduce(0, rows, values, "amax", include_self=False)

    def pooled(self, pooling: Pooling) -> Tensor:
        """One vector of each row, [R, H]."""
        ways = {"cls": self.first, "mean": self.mean, "last": self.last, "max": self.max}
        return ways[pooling]()

    def select(self, rows: Tensor) -> "Encoded":
        """Return some of the rows, in the order asked for; a row may come more than once.

        How many tokens these have is not known on the host, which waits for a GPU once.

        Args:
            rows: Which rows, int64 [n].
        """
        lengths = self.lengths[rows]
        counts = lengths.tolist()
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        shift = (self.offsets[:-1][rows] - offsets[:-1]).repeat_interleave(lengths, output_size=sum(counts))
        places = torch.arange(len(shift), device=rows.device) + shift
        pooler = None if self.pooler_output is None else self.pooler_output.index_select(0, rows)
        return Encoded(self.states.index_select(0, places), offsets, pooler, counts)

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def __getitem__(self, rows: slice) -> "Encoded":
        """Return rows that follow each other, which share the memory of these."""
        start, stop, _ = rows.indices(len(self))
        offsets = self.offsets[start : stop + 1] - self.offsets[start]
        if self.counts is None:
            first, last = int(self.offsets[start]), int(self.offsets[stop])
        else:
            first, last = sum(self.counts[:start]), sum(self.counts[:stop])
        pooler = None if self.pooler_output is None else self.pooler_output[start:stop]
        counts = None if self.counts is None else self.counts[start:stop]
        return Encoded(self.states[first:last], offsets, pooler, counts)
