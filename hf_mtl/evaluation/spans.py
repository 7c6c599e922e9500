"""Spans of tokens out of the logits of their ends: the best of a row, found where the logits are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.data.asked_contexts import AskedContext, window_places
from hf_mtl.tasks.learning import NO_SITE
from hf_mtl.tasks.scoring import Compact

_THERE = NO_SITE / 1e10  # beyond any logit, and below NO_SITE even where a temperature has divided it
_ELEMENTS = 1 << 22  # scores of spans that are in memory at once
_KEPT = 5
_RIGHT = 10.0


@dataclass(frozen=True, eq=False)
class SpanOutputs:
    """The best span of n rows, and what speaks for no answer.

    Args:
        values: Window, first and last place, log-probability of the span, and that of no answer, [n, 5]; NaN of a row
            with an output that is not finite. A row whose first place is 0 has no span.
        of_characters: Whether places are first character and end in the context, as those of a baseline.
    """

    values: np.ndarray
    of_characters: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def broken(self) -> int:
        """Return the number of rows with an output that is not finite."""
        return int(np.isnan(self.values).any(axis=1).sum())

    @property
    def null_over_best(self) -> NDArray[np.float64]:
        """Return the log-odds of no answer against the best span, [n]; infinite where there is no span."""
        values = self.values.astype(np.float64)
        return np.where(self.without_span, np.inf, values[:, 4] - values[:, 3])

    @property
    def without_span(self) -> NDArray[np.bool_]:
        """Tell which rows have no span at all, bool [n]."""
        found: NDArray[np.bool_] = np.zeros(len(self), dtype=bool) if self.of_characters else self.values[:, 1] == 0
        return found

    def texts(self, asked: np.ndarray) -> list[str]:
        """Return the text of each row's best span.

        Args:
            asked: An `AskedContext` for each row.
        """
        return [
            "" if absent else row.context[slice(*self._characters(row, values))]
            for row, values, absent in zip(asked, self.values.tolist(), self.without_span, strict=True)
        ]

    def _characters(self, row: AskedContext, values: list[float]) -> tuple[int, int]:
        window, first, last = map(int, values[:3])
        return (first, last) if self.of_characters else row.characters(window, first, last)


def span_outputs(raw: np.ndarray, longest: int) -> SpanOutputs:
    """Find the best span of each row.

    Args:
        raw: Logits [n, S, P, 2]; or what a baseline gives, [n, 2, 2]: first character and end, then the
            log-probabilities of that span and of no answer.
        longest: Tokens that a span may have.
    """
    if raw.ndim == 3:
        return SpanOutputs(np.column_stack([np.zeros(len(raw)), raw.reshape(len(raw), 4)]), of_characters=True)
    return SpanOutputs(best_spans(torch.from_numpy(np.ascontiguousarray(raw)), longest).numpy())


def keep_best(longest: int) -> Compact:
    """Keep the best span of each row in place of all logits.

    Args:
        longest: Tokens that a span may have.
    """
    return Compact(lambda outputs: best_spans(outputs, longest), _KEPT, SpanOutputs)


def best_spans(outputs: Tensor, longest: int) -> Tensor:
    """Find what `SpanOutputs` holds of each row.

    The probability of a span is that of its first token times that of its last, in its window. No answer has that of
    the first token of a window, of several windows the smallest: one that has the answer speaks against it.

    Args:
        outputs: Logits [n, S, P, 2], with `NO_SITE` where there is no token or window.
        longest: Tokens that a span may have.

    Returns:
        Float32 [n, 5].
    """
    rows = max(1, _ELEMENTS // max(1, outputs.shape[1] * outputs.shape[2] * longest))
    return (
        torch.cat([_best(part, longest) for part in outputs.split(rows)]) if len(outputs) else outputs.new_zeros(0, 5)
    )


def _best(outputs: Tensor, longest: int) -> Tensor:
    scores, null = _scores(outputs, longest)
    flat = scores.flatten(1)
    places = torch.arange(flat.shape[1], device=flat.device)
    largest = flat.amax(dim=1, keepdim=True)
    # Not argmax, which may take any of equal ones on an accelerator.
    first = torch.where(flat < largest, flat.shape[1], places).amin(dim=1)
    window, start, more = _unravel(first, scores.shape)
    there = largest[:, 0] > _THERE
    start, end = (torch.where(there, place, 0) for place in (start, start + more))
    found = torch.stack([window.float(), start.float(), end.float(), largest[:, 0], null], dim=1)
    finite = outputs.flatten(1).isfinite().all(dim=1)
    return torch.where(finite[:, None], found, torch.nan)


def _scores(outputs: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each span by window, first place from 1 on, and further tokens [n, S, P - 1, L],
    `NO_SITE` of those that are none; and that of no answer [n].
    """
    logs = torch.log_softmax(outputs.float(), dim=2)
    there = outputs > _THERE
    nothing = logs[:, :, 0].sum(dim=2)  # of every window, also of those that a row does not have
    null = torch.where(there[:, :, 0, 0], nothing, torch.inf).amin(dim=1)
    if logs.shape[2] == 1:  # contexts without tokens
        return logs.new_full((*logs.shape[:2], 1, 1), NO_SITE), null
    logs = torch.where(there, logs, NO_SITE)
    starts, ends = logs[:, :, 1:, 0], logs[:, :, 1:, 1]
    ahead = torch.nn.functional.pad(ends, (0, longest - 1), value=NO_SITE).unfold(2, longest, 1)
    return (starts[..., None] + ahead).clamp(min=NO_SITE), null


def _unravel(flat: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Return window, first place, and how many tokens follow, from a number in the flat array of spans."""
    _, _, places, longest = shape
    return flat // (places * longest), flat // longest % places + 1, flat % longest


def several_spans(
    outputs: np.ndarray, longest: int, count: int
) -> Iterator[tuple[list[tuple[float, int, int, int]], float]]:
    """Give the best spans of one row after another, and the log-probability of no answer.

    Args:
        outputs: Logits [n, S, P, 2].
        longest: Tokens that a span may have.
        count: The most spans of a row; of equal ones the first come first.

    Yields:
        Log-probability, window, first and last place of each span, the best first; and what speaks for no answer.
    """
    for row in range(len(outputs)):
        scores, null = _scores(torch.from_numpy(np.ascontiguousarray(outputs[row : row + 1])), longest)
        flat = scores.flatten()
        best = torch.argsort(flat, descending=True, stable=True)[:count]
        found = []
        for number in best[flat[best] > _THERE]:
            window, start, more = (int(value) for value in _unravel(number, scores.shape))
            found.append((float(flat[number]), window, start, start + more))
        yield found, float(null[0])


def right_logits(asked: np.ndarray) -> np.ndarray:
    """Return the logits of a model that is always right, float32 [n, S, P, 2].

    Args:
        asked: An `AskedContext` for each row.
    """
    targets = window_places(asked)
    most = max((len(tokens) for row in asked for tokens in row.windows), default=0) + 1
    found = np.full((*targets.shape[:2], most, 2), NO_SITE, dtype=np.float32)
    for number, row in enumerate(asked):
        for window, tokens in enumerate(row.windows):
            found[number, window, : len(tokens) + 1] = 0
            for side, place in enumerate(targets[number, window]):
                found[number, window, place, side] = _RIGHT
    return found


def softmaxes(raw: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of first and last tokens of every window, [m, P], and the place that is right, [m].

    Args:
        raw: Logits [n, S, P, 2].
        asked: An `AskedContext` for each row.
    """
    targets = window_places(asked)
    there = targets[:, :, 0] >= 0
    logits = raw[:, : targets.shape[1]][there]
    return np.concatenate([logits[..., 0], logits[..., 1]]), targets[there].T.reshape(-1)
