"""Sites of the rows of a batch: where their heads look, and where their outputs go."""

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.batch import Sites
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.tasks.layout import spans


def sites_of(split: EncodedSplit, rows: NDArray[np.int64]) -> Sites | None:
    """Find the sites of some rows, in their order; None where a row is one sequence and has one output.

    The outputs are as wide as these rows need, whatever the others of the split are.

    Args:
        split: The rows of a task.
        rows: Which of them, [n].
    """
    sites = split.sites
    if sites is None:
        return None
    sequences = sites.sequences_of(rows)
    counts = np.diff(sites.starts)[rows]
    row_of, number = np.repeat(np.arange(len(rows)), counts), _numbers(counts)
    if sites.tokens is None or sites.offsets is None:
        most = int(counts.max(initial=1))
        return _sites(None, np.arange(len(sequences)), row_of * most + number, [len(rows), most])
    some, of_sequence = spans(sites.offsets, sequences), np.diff(sites.offsets)[sequences]
    sequence_of = np.repeat(np.arange(len(sequences)), of_sequence)
    lengths = split.tokens.lengths[sequences].astype(np.int64)
    tokens = (np.cumsum(lengths) - lengths)[sequence_of] + sites.tokens[some]
    places = (_numbers(of_sequence) if sites.places is None else sites.places[some]).astype(np.int64)
    wide = int(places.max(initial=0)) + 1
    shape, owner = [len(rows), wide], row_of[sequence_of]
    if sites.per == "window":
        most = int(counts.max(initial=1))
        shape, owner = [len(rows), most, wide], owner * most + number[sequence_of]
    return _sites(tokens, sequence_of, owner * wide + places, shape)


def labels_of(split: EncodedSplit, rows: NDArray[np.int64], sites: Sites | None) -> torch.Tensor:
    """Return the labels of some rows, those of tokens or windows as wide as the outputs are."""
    labels = split.labels[rows]
    if sites is not None and split.sites is not None and split.sites.per in ("token", "window"):
        labels = labels[:, : sites["shape"][1]]
    return torch.from_numpy(labels)


def _numbers(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of each item in its group, from 0, of groups of so many."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _sites(
    tokens: NDArray[np.int64] | None, sequences: NDArray[np.int64], places: NDArray[np.int64], shape: list[int]
) -> Sites:
    return {
        "tokens": None if tokens is None else torch.from_numpy(tokens),
        "sequences": torch.from_numpy(sequences),
        "places": torch.from_numpy(places),
        "shape": shape,
    }
