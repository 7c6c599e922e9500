"""Room is made, and places are taken, by removing hf_mtl's own checkpoints only."""

import json
import random
from pathlib import Path

import pytest
from transformers.trainer_utils import rotate_checkpoints

from hf_mtl.errors import RunError
from hf_mtl.inference.manifest import STATE_FILE, seal
from hf_mtl.training.checkpoint import checkpoints, step_of
from hf_mtl.training.folder.own_checkpoints import keep_only, own_files, publish, refuse_strangers, remove_own, rotate
from tests.training import runs
from tests.training.folders import add_checkpoint, begin


def make(run: Path, step: int, *files: str) -> Path:
    """A sealed checkpoint, as in a Trainer's folder, with files that were added later."""
    folder = run / f"checkpoint-{step}"
    (folder / "tokenizer").mkdir(parents=True)
    for name in ("model.safetensors", STATE_FILE, "tokenizer/vocab"):
        (folder / name).write_text("ours")
    seal(folder)
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def of_others(run: Path) -> dict[str, bytes]:
    """Folders that are no checkpoints of hf_mtl, though their names are like those of some."""
    for name in ("checkpoint-2-best", "checkpoint-old", "checkpoint-1", "checkpoint-25", "xcheckpoint-1"):
        (run / name).mkdir(parents=True)
        (run / name / "pytorch_model.bin").write_text("mine")
    make(run / "elsewhere", 4).rename(run / "checkpoint-4-sealed")
    (run / "checkpoint-7").symlink_to(make(run / "elsewhere", 7), target_is_directory=True)
    (run / "checkpoint-8").write_text("mine")
    return runs.content(run)


def steps(run: Path) -> list[int]:
    return sorted(step_of(path) for path in checkpoints(run) if own_files(path))


@pytest.mark.parametrize("seed", range(20))
def test_the_same_are_removed_as_by_transformers(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    found = draw.sample(range(10, 99), draw.randint(1, 5))
    best = draw.choice([None, *found])
    limit = draw.randint(1, 4)
    for run in ("ours", "theirs"):
        for step in found:
            make(tmp_path / run, step)
    rotate(tmp_path / "ours", limit, *_ends(tmp_path / "ours", found, best))
    rotate_checkpoints(str(tmp_path / "theirs"), limit, _ends(tmp_path / "theirs", found, best)[1])
    assert steps(tmp_path / "ours") == steps(tmp_path / "theirs")


def _ends(run: Path, found: list[int], best: int | None) -> tuple[Path, str | None]:
    return run / f"checkpoint-{max(found)}", None if best is None else str(run / f"checkpoint-{best}")


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_without_a_limit_all_stay(tmp_path: Path, limit: int | None) -> None:
    for step in (10, 20):
        make(tmp_path, step)
    rotate(tmp_path, limit, tmp_path / "checkpoint-20", None)
    assert steps(tmp_path) == [10, 20]


def test_folders_of_others_are_neither_removed_nor_counted(tmp_path: Path) -> None:
    before = of_others(tmp_path)
    for step in (10, 20, 30):
        make(tmp_path, step)
    rotate(tmp_path, 3, tmp_path / "checkpoint-30", None)
    assert steps(tmp_path) == [10, 20, 30]
    rotate(tmp_path, 2, tmp_path / "checkpoint-30", None)
    assert steps(tmp_path) == [20, 30]
    keep_only(tmp_path / "checkpoint-20")
    assert steps(tmp_path) == [20]
    remove_own(tmp_path / "checkpoint-20")
    assert runs.content(tmp_path) == before


def test_the_checkpoint_just_saved_stays_beside_later_ones_of_a_run_that_was_taken_back(tmp_path: Path) -> None:
    for step in (5, 6, 10):
        make(tmp_path, step)
    rotate(tmp_path, 2, tmp_path / "checkpoint-6", None)
    assert steps(tmp_path) == [5, 6]


def test_a_note_in_a_checkpoint_outlives_it(tmp_path: Path) -> None:
    make(tmp_path, 10, "notes.md", "tokenizer/mine")
    make(tmp_path, 20)
    rotate(tmp_path, 1, tmp_path / "checkpoint-20", None)
    assert set(runs.content(tmp_path / "checkpoint-10")) == {"notes.md", "tokenizer/mine"}
    assert steps(tmp_path) == [20]


def test_in_a_runs_folder_the_record_says_which_checkpoints_are_its_own(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    make(tmp_path, 1)  # copied from elsewhere
    for step in (10, 20, 30):
        add_checkpoint(folder, step)
    (tmp_path / "checkpoint-10" / "manifest.json").write_text("damaged")
    rotate(tmp_path, 1, tmp_path / "checkpoint-30", None)
    assert list(folder.record.checkpoints) == ["checkpoint-30"]
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-30"}


@pytest.mark.parametrize("recorded", [True, False])
def test_a_checkpoint_takes_no_place_of_others(tmp_path: Path, recorded: bool) -> None:
    if recorded:
        begin(tmp_path)
    before = of_others(tmp_path)
    for step, named in ((1, "checkpoint-1"), (8, "checkpoint-8"), (7, "checkpoint-7")):
        staged = make(tmp_path / "staged", step)
        with pytest.raises(RunError, match=f"{tmp_path}/{named}: a checkpoint of this run would take the place"):
            publish(staged, tmp_path / f"checkpoint-{step}")
        assert staged.is_dir()
    assert runs.content(tmp_path).items() >= before.items()


def test_a_checkpoint_with_a_note_in_it_is_not_replaced(tmp_path: Path) -> None:
    make(tmp_path, 5, "notes.md")
    with pytest.raises(RunError, match=r"checkpoint-5/notes\.md: a checkpoint of this run would take the place"):
        refuse_strangers([tmp_path / "checkpoint-5"])


def test_an_empty_folder_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-5" / "empty").mkdir(parents=True)
    publish(make(tmp_path / "staged", 5), tmp_path / "checkpoint-5")
    assert steps(tmp_path) == [5]


def test_a_manifest_reaches_no_file_outside_its_checkpoint(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    (tmp_path / "mine").write_text("mine")
    manifest = folder / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"]["../mine"] = {"size": 4, "sha256": "0" * 64}
    manifest.write_text(json.dumps(content))
    before = runs.content(tmp_path)
    remove_own(folder)  # it is nobody's: its manifest is damaged
    assert runs.content(tmp_path) == before
