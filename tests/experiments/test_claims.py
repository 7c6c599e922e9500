from pathlib import Path

import pytest

from hf_mtl.experiments.claims import claim


def test_work_is_done_by_one_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "claims" / "ew-0"
    with claim(place) as first, claim(place) as second, claim(tmp_path / "claims" / "ew-1") as other:
        assert (first, second, other) == (True, False, True)
    with claim(place) as again:
        assert again


def test_a_claim_ends_with_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    place = tmp_path / "ew-0"
    with pytest.raises(KeyError), claim(place):
        raise KeyError
    assert not place.exists()
    with claim(place) as again:
        assert again
