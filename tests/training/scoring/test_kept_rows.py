"""The test rows of a run, kept as it scores them or afterwards."""

from pathlib import Path

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.answer.rows import keep_rows
from hf_mtl.training.scoring.kept_rows import TEST_ROWS
from tests.training import runs


def test_a_run_keeps_its_test_rows_and_scoring_it_again_gives_the_same(tmp_path: Path) -> None:
    recipe = runs.write_recipe(tmp_path, max_steps=2, eval_steps=2, save_steps=2, output_dir="run")
    with runs.inside(tmp_path):
        more = [f"tasks.mood.dataset.data_files.test={tmp_path / 'mood.validation.jsonl'}"]
        results = runs.run_recipe(recipe, more, test=True, keep_rows=True)
        run = Path("run")
        assert (run / TEST_ROWS).exists()
        kept = keep_rows(run)
        assert {name: rows.scores(name) for name, rows in kept.items()} == {
            name: pytest.approx({key: scores[key] for key in kept[name].scores(name)})
            for name, scores in results["test"]["tasks"].items()
        }
        (run / TEST_ROWS).unlink()
        again = keep_rows(run)
        assert again.keys() == kept.keys()
        assert all((again[name].outputs == kept[name].outputs).all() for name in kept)
        assert (run / TEST_ROWS).exists()
        longer = [*more, "training.max_steps=4"]
        runs.run_recipe(recipe, longer, resume=True)
        assert not (run / TEST_ROWS).exists()  # which were those of the shorter run's model
        keep_rows(run)
        runs.run_recipe(recipe, more, overwrite=True)
        assert not (run / TEST_ROWS).exists()


def test_rows_are_kept_of_a_test_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keep_rows: test rows are kept as they are scored. Give test=True too"):
        runs.run_recipe(runs.write_recipe(tmp_path), [], keep_rows=True)
