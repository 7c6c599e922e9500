"""The journal of a sweep: what a killed worker or a careless hand has left of it."""

from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.experiments.sweep.studies import Studies
from hf_mtl.experiments.sweep.work import work
from tests.experiments.sweep import worlds


@pytest.mark.parametrize("cut", [1, 5, 30, 200])
def test_a_last_line_that_was_never_finished_loses_nothing(tmp_path: Path, cut: int) -> None:
    sweep, done = worlds.read(tmp_path, trials=3), list[tuple[str, int]]()
    work(sweep, Studies(sweep, "me"), worlds.recording(done))
    journal = sweep.output_dir / "study.journal"
    journal.write_bytes(journal.read_bytes()[:-cut])
    more = worlds.read(tmp_path, trials=5)
    studies = Studies(more, "me")
    work(more, studies, worlds.recording(done))
    assert done == [("base", number) for number in range(5)]
    assert [trial.state.name for trial in studies.trials("base")] == ["COMPLETE"] * 5
    assert len(studies.results.all()) == 5


def test_a_line_in_the_middle_that_is_damaged_is_refused(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, trials=2)
    work(sweep, Studies(sweep, "me"), worlds.recording([]))
    journal = sweep.output_dir / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"{spoilt\n", *lines[4:]]))
    with pytest.raises(RunError, match=r"study\.journal: is damaged .*Put a whole copy back"):
        Studies(sweep, "me")
