"""Where the heads look in the rows of a batch, and where their outputs go."""

import numpy as np
import pytest

from hf_mtl.data.batch_sites import labels_of, sites_of
from hf_mtl.data.collate import Collator
from hf_mtl.data.loader import noise_keys
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.tasks.layout import RowSites

LENGTHS = np.array([5, 3, 4, 2])  # of the sequences of three rows, of which the second has two


def split(per: str) -> EncodedSplit:
    ids = np.arange(LENGTHS.sum(), dtype=np.int32)
    tokens = TokenStore(ids, np.concatenate([[0], np.cumsum(LENGTHS)]), np.array([False, False, True, False]))
    starts = np.array([0, 1, 3, 4])
    if per == "sequence":
        return EncodedSplit(tokens, np.array([0, 1, 0]), sites=RowSites("sequence", starts))
    offsets, of_tokens = np.array([0, 2, 3, 6, 7]), np.array([1, 3, 2, 1, 2, 3, 1], dtype=np.int32)
    places = np.array([0, 1, 0, 2, 3, 4, 0], dtype=np.int32) if per == "token" else None
    labels = np.arange(18).reshape(3, 6) if per == "token" else np.arange(12).reshape(3, 2, 2)
    return EncodedSplit(tokens, labels, sites=RowSites(per, starts, of_tokens, offsets, places))  # type: ignore[arg-type]


def test_a_row_of_several_sequences_has_their_tokens_and_is_cut_if_one_of_them_is() -> None:
    found = split("token")
    assert (len(found), found.lengths.tolist(), found.truncated) == (3, [5, 7, 2], 1)
    some = found.select([1, 2])
    assert (some.lengths.tolist(), some.tokens.lengths.tolist()) == ([7, 2], [3, 4, 2])
    assert some.labels.tolist() == found.labels[1:].tolist()


def test_choices_are_sequences_in_their_rows() -> None:
    sites = sites_of(split("sequence"), np.array([2, 1]))
    assert sites is not None
    assert sites["tokens"] is None
    assert sites["sequences"].tolist() == [0, 1, 2]
    assert (sites["shape"], sites["places"].tolist()) == ([2, 2], [0, 2, 3])


def test_tokens_of_all_sequences_of_a_row_share_its_places() -> None:
    given = split("token")
    sites = sites_of(given, np.array([1, 0]))
    assert sites is not None
    # Row 1 begins the batch with sequences of 3 and 4 tokens; row 0 follows.
    assert sites["tokens"] is not None
    assert sites["tokens"].tolist() == [2, 3 + 1, 3 + 2, 3 + 3, 7 + 1, 7 + 3]
    assert sites["shape"] == [2, 5]
    assert sites["places"].tolist() == [0, 2, 3, 4, 5, 6]
    assert labels_of(given, np.array([1, 0]), sites).tolist() == given.labels[[1, 0], :5].tolist()


def test_windows_have_places_of_their_own() -> None:
    given = split("window")
    sites = sites_of(given, np.array([0, 1]))
    assert sites is not None
    assert sites["shape"] == [2, 2, 3]
    assert sites["places"].tolist() == [0, 1, 6, 9, 10, 11]
    alone = sites_of(given, np.array([2]))
    assert alone is not None
    assert alone["shape"] == [1, 1, 1]
    assert labels_of(given, np.array([2]), alone).shape == (1, 1, 2)


def test_no_rows_have_no_sites_and_plain_rows_none_at_all() -> None:
    none = sites_of(split("token"), np.zeros(0, dtype=np.int64))
    assert none is not None
    assert (none["shape"][0], len(none["places"])) == (0, 0)
    plain = EncodedSplit(split("token").tokens, np.zeros(4))
    assert sites_of(plain, np.array([1])) is None


@pytest.mark.parametrize("per", ["sequence", "token", "window"])
def test_a_batch_of_mixed_tasks_counts_sequences_and_the_noise_of_rows_stays(per: str) -> None:
    plain = EncodedSplit(split(per).tokens, np.zeros(4))
    collator = Collator({"several": split(per), "plain": plain}, 0, None)
    tasks, rows = np.array([0, 0, 1]), np.array([1, 2, 3])
    batch = collator(tasks, rows)
    assert batch["segments"] == {"several": (0, 3), "plain": (3, 4)}
    assert list(batch["sites"]) == ["several"]
    # The last sequence is a row of both tasks, and encoded once.
    assert batch["packed"]["lengths"] == [3, 4, 2]
    assert batch["order"].tolist() == [0, 1, 2, 2]
    owners, sequences = collator.sequences(tasks, rows)
    assert (owners.tolist(), sequences.tolist()) == ([0, 0, 0, 1], [1, 2, 3, 3])
    assert collator.lengths(tasks, rows).tolist() == [7, 2, 2]
    keys = noise_keys(5, 0, owners, sequences)["rows"]
    assert len(set(keys.tolist())) == 4
    assert keys[-1] == noise_keys(5, 0, np.array([1]), np.array([3]))["rows"][0]
