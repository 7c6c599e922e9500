"""A run whose validation and test rows are carved from one file that two tasks read; later the file grows."""

from pathlib import Path

import pandas
import pytest
import yaml

from hf_mtl import run_recipe
from hf_mtl.errors import RunError
from hf_mtl.training import evaluate_run
from hf_mtl.training.run.evaluate import logger
from tests import tiny
from tests.training import runs


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A run of two steps on 120 texts with two labels each."""
    rows = tiny.rows("topic", 120).to_pandas()
    rows.assign(mood=rows.label % 2).to_csv(tmp_path / "posts.csv", index=False)
    dataset = {"path": "csv", "data_files": {"train": "./posts.csv"}}
    task = {"type": "sequence_classification", "dataset": dataset, "validation_fraction": 0.2, "test_fraction": 0.2}
    path = tmp_path / "recipe.yaml"
    written = yaml.safe_load(runs.write_recipe(tmp_path, max_steps=2, save_steps=1, eval_strategy="no").read_text())
    written["tasks"] = {"topic": {**task, "label": "label"}, "mood": {**task, "label": "mood"}}
    written["training"].update(output_dir=str(tmp_path / "run"), metric_for_best_model=None)
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    with runs.own_cache(tmp_path):
        run_recipe(path, test=True)
        yield path


def test_rows_that_are_appended_later_leave_the_others_where_they_were(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(logger, "warning", notes.append)
    run = recipe.parent / "run"
    written = runs.results(run)
    assert evaluate_run(run, split="test")["tasks"] == written["test"]["tasks"]
    assert notes == []
    more = tiny.rows("topic", 60, seed=7).to_pandas()
    posts = recipe.parent / "posts.csv"
    pandas.concat([more.assign(mood=0), pandas.read_csv(posts)]).to_csv(posts, index=False)
    evaluate_run(run)
    assert [note.split(":")[0] for note in notes] == ["topic", "mood"]
    for note in notes:
        assert "the validation rows are not those of the run: " in note
        assert "The run was trained on 0 of the " in note
    (run / "results.json").unlink()
    with pytest.raises(RunError, match="tasks.mood.dataset: the train rows changed since the run began"):
        run_recipe(recipe, resume=True)
