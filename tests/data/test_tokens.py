import pickle

import numpy as np
import pytest

from hf_mtl.data.tokens import EncodedSplit, TokenStore


def store(rows: list[list[int]], types: list[list[int]] | None = None, takes_type_ids: bool = False) -> TokenStore:
    def flat(lists: list[list[int]], kind: type) -> np.ndarray:
        return np.array([item for row in lists for item in row], dtype=kind)

    offsets = np.cumsum([0, *(len(row) for row in rows)])
    cut = np.array([len(row) > 2 for row in rows])
    return TokenStore(
        flat(rows, np.int32), offsets, cut, takes_type_ids or bool(types), flat(types, np.uint8) if types else None
    )


ROWS = [[5, 6, 7], [8], [9, 10]]
TYPES = [[0, 0, 1], [0], [1, 1]]


def test_rows_are_read_back_from_the_flat_array() -> None:
    tokens = store(ROWS, TYPES)
    assert [tokens.ids(row).tolist() for row in range(3)] == ROWS
    assert [tokens.type_ids(row).tolist() for row in range(3)] == TYPES
    assert tokens.ids(-1).tolist() == [9, 10]
    assert tokens.ids(0).base is tokens.flat_ids
    assert (len(tokens), tokens.lengths.tolist(), tokens.lengths.dtype) == (3, [3, 1, 2], np.int32)
    assert (tokens.total_tokens, tokens.truncated) == (6, 1)
    with pytest.raises(IndexError):
        tokens.ids(3)


def test_rows_stand_end_to_end_in_the_order_asked() -> None:
    flat = store(ROWS, TYPES).flat([2, 0, 2])
    assert flat.ids.tolist() == [9, 10, 5, 6, 7, 9, 10]
    assert flat.lengths.tolist() == [2, 3, 2]
    assert flat.type_ids is not None
    assert flat.type_ids.tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert flat.ids.dtype == flat.type_ids.dtype == np.int64


def test_glances_are_equal_for_equal_ids_in_any_store_and_differ_by_length() -> None:
    long = list(range(40))
    first, other = store([long, [7], [], long[:39], [0]]), store([[], [0], long])
    glances = first.glances(range(5)).tolist()
    assert len(set(glances)) == 5
    assert other.glances([2, 0, 1]).tolist() == [glances[0], glances[2], glances[4]]
    assert store([]).glances([]).tolist() == []


def test_marks_are_equal_for_equal_ids_in_any_store_and_differ_by_an_ids_place() -> None:
    first, other = store([[5, 6, 7], [7, 6, 5], [5], [5, 0]]), store([[5], [5, 6, 7]])
    marks = first.marks([0, 1, 2, 3]).tolist()
    assert len(set(marks)) == 4
    assert other.marks([1, 0]).tolist() == [marks[0], marks[2]]


def test_token_types_are_there_only_where_the_model_takes_them() -> None:
    assert store(ROWS).flat([0]).type_ids is None
    assert store(ROWS).type_ids(0) is None
    zeros = store(ROWS, takes_type_ids=True)
    assert zeros.flat([0]).type_ids.tolist() == [0, 0, 0]
    assert zeros.type_ids(1).tolist() == [0]


def test_select_copies_rows_and_labels() -> None:
    split = EncodedSplit(store(ROWS, TYPES), np.array([0, 1, 2])).select([2, 0])
    assert [split.tokens.ids(row).tolist() for row in range(2)] == [[9, 10], [5, 6, 7]]
    assert split.tokens.type_ids(1).tolist() == [0, 0, 1]
    assert (split.labels.tolist(), split.tokens.cut.tolist(), len(split)) == ([2, 0], [False, True], 2)
    assert len(split.select([])) == 0


def test_rows_keep_their_masses_through_a_selection_and_stand_ins_for_labels() -> None:
    missing = np.array([False, True, False])
    split = EncodedSplit(store(ROWS), np.array([0, -100, 2]), missing=missing, masses=np.array([2, 0, 3]))
    assert split.select([2, 0]).masses.tolist() == [3, 2]  # type: ignore[union-attr]
    filled = split.filled()
    assert (filled.labels.tolist(), filled.masses.tolist()) == ([0, 0, 2], [2, 0, 3])  # type: ignore[union-attr]
    assert EncodedSplit(store(ROWS), np.array([0, 1, 2])).select([1]).masses is None


def test_content_is_equal_for_equal_rows_only() -> None:
    typed, plain = store(ROWS, TYPES), store([[8], [5, 6, 7]])
    assert typed.content(1) == plain.content(0)
    assert typed.content(0) != plain.content(1)
    assert typed.content(0) != typed.content(2)


def test_a_store_pickles_to_about_the_size_of_its_arrays() -> None:
    rows = [[1, 2, 3]] * 10_000
    dumped = pickle.dumps(store(rows))
    assert len(dumped) < 10_000 * (3 * 4 + 8 + 1) + 2_000
    assert pickle.loads(dumped).ids(9_999).tolist() == [1, 2, 3]
