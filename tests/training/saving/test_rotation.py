import json
from pathlib import Path

import pytest

from hf_mtl.inference.manifest import STATE_FILE, seal
from hf_mtl.training.saving.rotation import removable

# There, the limit, the best one by now, the best one that the newest knows of: what goes.
CASES = [
    ([5, 10], 2, None, None, [5]),
    ([5, 10], None, None, None, []),
    ([5, 10], 3, None, None, []),
    ([5, 10], 1, None, None, [5]),
    ([10], 1, None, None, []),
    ([5, 10, 15], 2, 5, 5, [10]),
    ([5, 10, 15], 2, 10, 10, [5]),
    ([5, 10, 15], 2, 20, 5, [10]),
    ([5, 10, 15], 1, 20, 20, [5, 10]),
    ([], 1, None, None, []),
]


@pytest.mark.parametrize(("there", "limit", "best", "known", "gone"), CASES)
def test_what_the_next_save_lets_go_goes_but_for_what_a_resume_needs(
    tmp_path: Path, there: list[int], limit: int | None, best: int | None, known: int | None, gone: list[int]
) -> None:
    for step in there:
        write(tmp_path, step, known)
    named = None if best is None else str(tmp_path / f"checkpoint-{best}")
    assert removable(tmp_path, limit, named) == [tmp_path / f"checkpoint-{step}" for step in gone]


def test_the_newest_that_is_whole_stays(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        write(tmp_path, step, None)
    for step in (10, 15):
        (tmp_path / f"checkpoint-{step}" / STATE_FILE).write_text("damaged")
    assert removable(tmp_path, 1, None) == [tmp_path / "checkpoint-10", tmp_path / "checkpoint-15"]


def write(run: Path, step: int, best: int | None) -> None:
    """What a checkpoint needs in order to be one."""
    folder = run / f"checkpoint-{step}"
    folder.mkdir()
    (folder / STATE_FILE).write_text("state")
    state = {"best_model_checkpoint": None if best is None else str(run / f"checkpoint-{best}")}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    seal(folder)
