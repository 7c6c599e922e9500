from pathlib import Path

import pytest

from hf_mtl.errors import DiskError, UserError
from hf_mtl.inference.new_folder import check_free, made_whole


def test_a_folder_is_free_where_it_is_not_there_or_empty(tmp_path: Path) -> None:
    check_free(tmp_path, "DIR")
    check_free(tmp_path / "a" / "b", "DIR")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"DIR: .* is there already, and not empty"):
        check_free(tmp_path, "DIR")
    with pytest.raises(UserError, match=r"DIR: .*file is a file"):
        check_free(tmp_path / "file", "DIR")
    with pytest.raises(UserError, match="cannot be made in"):
        check_free(tmp_path / "file" / "below", "DIR")


def write_and_fail(folder: Path) -> None:
    (folder / "x").touch()
    raise ValueError("after a write")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "new"
    with made_whole(place) as folder:
        (folder / "x").write_text("1")
        assert not place.exists()
    assert (place / "x").read_text() == "1"
    with pytest.raises(ValueError, match="after a write"), made_whole(tmp_path / "other") as folder:
        write_and_fail(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="Make room"), made_whole(tmp_path / "new"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())
