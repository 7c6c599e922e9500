"""Words among numbers."""

import pyarrow as pa

from hf_mtl.drafting.odd_values import mean_nothing, odd_values, said, words_in


def test_words_are_counted_without_their_blanks_and_empty_fields_are_none() -> None:
    parts = [pa.array(["1", " n/a ", None, "-2e3"]), pa.array(["n/a", "nan", ""])]
    assert words_in(parts) == {"n/a": 2, "nan": 1}


def test_too_many_words_are_none_that_are_odd() -> None:
    numbers = [str(number) for number in range(200)]
    assert odd_values(pa.array([*numbers, "n/a"])) == {"n/a": 1}
    assert odd_values(pa.array([*numbers, *(f"w{number}" for number in range(11))])) == {}
    assert odd_values(pa.array([*numbers[:90], *["n/a"] * 11])) == {}


def test_what_is_said_counts_rows() -> None:
    assert said({"n/a": 1200, "-": 1, "?": 1}) == "1,200 rows hold 'n/a', 1 row holds '-' and 1 row holds '?'"


def test_words_for_nothing_are_told_from_words_that_may_be_classes() -> None:
    assert mean_nothing(["N/A", "-", "unknown"])
    assert not mean_nothing(["n/a", "unsure"])
