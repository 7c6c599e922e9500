from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.experiments.answer.current import TRIALS
from hf_mtl.experiments.places_taken import refuse_within
from hf_mtl.experiments.sweep.place import RECORD


@pytest.mark.parametrize(("record", "what"), [(TRIALS, "a study"), (RECORD, "a sweep")])
@pytest.mark.parametrize("within", ["runs/ew", "notes", "runs/../claims/x"])
def test_a_folder_within_that_of_a_study_or_sweep_is_refused(
    tmp_path: Path, record: str, what: str, within: str
) -> None:
    taken = tmp_path / "s1"
    taken.mkdir()
    (taken / record).write_text("{}")
    with pytest.raises(RunError) as error:
        refuse_within(taken / within)
    (mistake,) = error.value.mistakes
    assert mistake.key == "output_dir"
    assert mistake.problem == f"{taken / within} lies in the folder of {what}, {taken}, which writes there too"
    assert list(tmp_path.iterdir()) == [taken]


def test_a_link_into_the_folder_of_a_study_is_within_it(tmp_path: Path) -> None:
    (tmp_path / "s1" / "runs").mkdir(parents=True)
    (tmp_path / "s1" / TRIALS).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "s1" / "runs")
    with pytest.raises(RunError, match="link/new lies in the folder of a study"):
        refuse_within(tmp_path / "link" / "new")


def test_a_studys_own_folder_and_those_beside_and_around_it_are_free(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / TRIALS).write_text("{}")
    for folder in (tmp_path / "s1", tmp_path / "s2", tmp_path, tmp_path / "s1" / ".." / "s3"):
        refuse_within(folder)
