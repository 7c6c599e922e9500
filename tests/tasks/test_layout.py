"""The sequences of rows, and the sites in them."""

import numpy as np

from hf_mtl.tasks.layout import RowSites, spans

# Three rows of 1, 2 and 1 sequences; these have 2, 1, 3 and 0 sites.
STARTS, OFFSETS = np.array([0, 1, 3, 4]), np.array([0, 2, 3, 6, 6])
TOKENS = np.array([1, 4, 2, 1, 2, 3], dtype=np.int32)


def sites(per: str, places: list[int] | None) -> RowSites:
    given = None if places is None else np.array(places, dtype=np.int32)
    return RowSites(per, STARTS, TOKENS, OFFSETS, given)  # type: ignore[arg-type]


def test_the_outputs_of_a_row_are_as_wide_as_the_widest_row_needs() -> None:
    assert RowSites("sequence", STARTS).shape == (2,)
    assert sites("token", [0, 3, 0, 1, 2, 5]).shape == (6,)
    assert sites("window", None).shape == (2, 3)
    assert len(sites("token", None)) == 3


def test_rows_bring_their_sequences_and_sites_in_the_order_that_was_asked_for() -> None:
    found = sites("token", [0, 3, 0, 1, 2, 5]).select(np.array([1, 0]))
    assert found.starts.tolist() == [0, 2, 3]
    assert found.tokens is not None
    assert found.tokens.tolist() == [2, 1, 2, 3, 1, 4]
    assert found.offsets is not None
    assert found.offsets.tolist() == [0, 1, 4, 6]
    assert found.places is not None
    assert found.places.tolist() == [0, 1, 2, 5, 0, 3]
    choices = RowSites("sequence", STARTS).select(np.array([2, 1]))
    assert (choices.starts.tolist(), choices.tokens) == ([0, 1, 3], None)
    assert RowSites("sequence", STARTS).sequences_of(np.array([1, 0, 1])).tolist() == [1, 2, 0, 1, 2]


def test_spans_follow_each_other_as_asked_for() -> None:
    assert spans(np.array([0, 2, 2, 5]), np.array([2, 1, 0])).tolist() == [2, 3, 4, 0, 1]
    assert spans(np.array([0, 2]), np.zeros(0, dtype=np.int64)).tolist() == []
