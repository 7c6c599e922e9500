"""The rows of a batch as private adapters need them: ordered by task, each of one task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from hf_mtl.batch import NoiseKeys, Packed, to_device
from hf_mtl.data.rectangles import cut_by_task, default_group_cost, length_groups, rectangles_of
from hf_mtl.modeling.private_adapters import Owned, Route

Segments = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class RowsByTask:
    """Which rows the heads of tasks see, one task after the other; a row of several tasks comes several times.

    Args:
        segments: The first row of each task, and the one after the last.
        positions: Which of the given rows each is, int64 [R]; None: they are as given.
    """

    segments: dict[str, tuple[int, int]]
    positions: Tensor | None

    @classmethod
    def of(cls, given: Segments, count: int, device: torch.device) -> "RowsByTask":
        """Order rows by task.

        Args:
            given: The rows of each task.
            count: The number of rows.
            device: Where they are.
        """
        sizes = [stop - start for start, stop in given.values()]
        ends = [0, *accumulate(sizes)]
        own = {name: (ends[place], ends[place + 1]) for place, name in enumerate(given)}
        if own == dict(given) and ends[-1] == count:
            return cls(own, None)
        parts = [torch.arange(start, stop, device=device) for start, stop in given.values()]
        return cls(own, torch.cat(parts) if parts else torch.arange(0, device=device))

    @property
    def owned(self) -> Owned:
        """Whose the rows are."""
        return [(name, start, stop) for name, (start, stop) in self.segments.items()]

    def of_rows(self, values: Tensor | None) -> Tensor | None:
        """Return values of the given rows [B, ...], or one for all of them, for the rows [R, ...]."""
        return values if values is None or self.positions is None else values.index_select(0, self.positions)

    def noise(self, noise: NoiseKeys | None) -> NoiseKeys | None:
        """Return the keys of the rows' noise."""
        if noise is None or self.positions is None:
            return noise
        return {**noise, "rows": noise["rows"].index_select(0, self.positions)}


def packed_by_task(packed: Packed, order: Tensor | None, rows: RowsByTask) -> Packed:
    """Return packed rows in the order of tasks; a text of several tasks stands there once for each.

    The collator makes them so where it is told to. Otherwise they are packed anew, which waits for a device.

    Args:
        packed: The sequences.
        order: Row i is sequence ``order[i]``; None: as they come.
        rows: The rows that are wanted.
    """
    spans = [(start, stop) for _, start, stop in rows.owned if stop > start]
    if order is None and rows.positions is None and [cut[1:] for cut in packed.get("cut", ())] == spans:
        return packed
    chosen = torch.arange(len(packed["lengths"])) if order is None else order.cpu()
    chosen = chosen if rows.positions is None else chosen[rows.positions.cpu()]
    numbers = chosen.numpy()
    lengths = np.asarray(packed["lengths"], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    own = lengths[numbers]
    ends = np.cumsum(own)
    tokens = np.arange(int(own.sum())) + np.repeat(starts[numbers] - (ends - own), own)
    device = packed["input_ids"].device
    places = torch.from_numpy(tokens).to(device)
    whose = np.repeat(np.arange(len(rows.owned)), [stop - start for _, start, stop in rows.owned])
    groups = [np.sort(group) for group in length_groups(own, default_group_cost(device))]
    found: Packed = {
        "input_ids": packed["input_ids"][places],
        "offsets": torch.from_numpy(np.concatenate([[0], ends])).to(device),
        "lengths": own.tolist(),
        "rectangles": to_device(rectangles_of(own, groups, packed["rectangles"]["pad_id"], whose), device),
        "cut": cut_by_task(whose),
    }
    if "token_type_ids" in packed:
        found["token_type_ids"] = packed["token_type_ids"][places]
    return found


def routes_of(packed: Packed, rows: RowsByTask, packs: bool) -> list[Route]:
    """Tell whose rows the layers see in each call of the encoder.

    Args:
        packed: Rows in the order of tasks.
        rows: Whose they are.
        packs: Whether the encoder takes them packed, and not as rectangles.
    """
    if packs:
        ends = [0, *accumulate(packed["lengths"])]
        return [Route(rows.owned, [(task, ends[first], ends[last]) for task, first, last in rows.owned])]
    there: Sequence[str] = [task for task, first, last in rows.owned if last > first]
    numbers = [number for number, _, _ in packed["cut"]]
    names = dict(zip(numbers, there, strict=True))
    return [Route(_with_absent(cut, names, rows)) for cut in packed["rectangles"]["cuts"]]


def _with_absent(cut: Sequence[tuple[int, int, int]], names: Mapping[int, str], rows: RowsByTask) -> Owned:
    """Name whose the rows of a rectangle are, and the tasks of the batch that have none in all of it.

    Where processes hold parts of a parameter each, all of them have to use it as often.
    """
    found = [(names[number], first, last) for number, first, last in cut]
    return [(task, 0, 0) for task, first, last in rows.owned if first == last] + found
