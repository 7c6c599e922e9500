"""The folder of a sweep: one sweep's, which may grow, and nothing else's."""

import json
from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.experiments.sweep.place import RECORD, described, identity, take
from tests.experiments.sweep import worlds


def test_a_sweep_may_grow_in_its_folder_and_change_in_nothing_else(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path)
    take(sweep)
    take(worlds.read(tmp_path, trials=60))
    other = worlds.read(tmp_path, seed=3, set={"training.max_steps": 9})
    assert identity(other) != identity(sweep) == identity(worlds.read(tmp_path, trials=60))
    problem = "holds a sweep with other values, .*, of seed, recipes.base.training.max_steps. Give another"
    with pytest.raises(RunError, match=problem):
        take(other)


def test_other_rows_in_the_files_make_another_sweep(tmp_path: Path) -> None:
    take(worlds.read(tmp_path))
    file = tmp_path / "topic.train.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(RunError, match=r"other content of files, of recipes\.base\.tasks\.topic\..*train"):
        take(worlds.read(tmp_path))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path)
    sweep.output_dir.mkdir()
    take(sweep)
    (sweep.output_dir / RECORD).unlink()
    (sweep.output_dir / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="out is not empty, and holds no sweep. Give another folder."):
        take(sweep)
    (sweep.output_dir / RECORD).write_text("{")
    with pytest.raises(RunError, match=r"sweep.json is damaged"):
        take(sweep)


def test_the_record_has_no_folder_and_no_secret(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path, storage="postgresql://me:geheim@host/db", training={"output_dir": "runs/x"})
    text = json.dumps(described(sweep))
    assert "geheim" not in text
    assert "runs/x" not in text
    assert json.loads(text)["search"] == {
        "base": {"training.learning_rate": "0.0001 to 0.01, log", "balancing.weighting": "uw, ew"}
    }
