import json
from pathlib import Path

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import read_proposal, write_proposal


def test_what_was_written_is_read_from_the_file_and_from_its_folder(tmp_path: Path) -> None:
    write_proposal(tmp_path / "proposal.json", [["a", "b"], ["c"]], value=0.5)
    for place in (tmp_path, tmp_path / "proposal.json", str(tmp_path)):
        assert read_proposal(place, ["a", "b", "c"]) == [["a", "b"], ["c"]]
    assert json.loads((tmp_path / "proposal.json").read_text())["value"] == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "no list of lists of names"),
        ('{"groups": ["a"]}', "no list of lists of names"),
        ('{"groups": [[1]]}', "no list of lists of names"),
        ('{"groups": []}', "no groups"),
        ('{"groups": [["a"], []]}', "a group without a task"),
        ('{"groups": [["a", "b"], ["a"]]}', "'a' is in several places"),
        ('{"groups": [["a"], ["bb"]]}', "no task 'bb'"),
        ('{"groups": [["a"]]}', "'b' is in no group"),
    ],
)
def test_what_is_no_partition_of_the_tasks_is_refused_with_what_to_write(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(UserError, match=said):
        read_proposal(tmp_path / "mine.json", ["a", "b"])


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hf-mtl affinity RECIPE"):
        read_proposal(tmp_path)
