from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.recipe_data import RecipeData
from tests.training import runs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecipeData]:
    folder = tmp_path_factory.mktemp("recipe")
    with runs.own_cache(folder):
        yield RecipeData(runs.write_recipe(folder / "recipe"), ["tasks.topic.max_rows=20"])


def test_splits_are_tokenised_as_a_run_would_see_them(data: RecipeData) -> None:
    train, validation = data.encode("train"), data.encode("validation")
    assert list(train) == list(validation) == list(data.tasks)
    assert {task: len(split) for task, split in train.items()} == {"topic": 20, "mood": 61, "score": 97}
    assert max(int(split.tokens.lengths.max()) for split in train.values()) <= data.max_length == 24


def test_a_split_that_no_task_has_is_empty(data: RecipeData) -> None:
    assert data.encode("test") == {}


def test_rows_are_drawn_in_the_ratio_of_the_recipe_and_code_needs_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_study.py").write_text("def clean(row):\n    return row\n")
    keys = ["data.imbalance.ratio={topic: 3, mood: 1, score: 2}", "tasks.mood.dataset.function=own_study.clean"]
    with runs.own_cache(tmp_path):
        recipe = runs.write_recipe(tmp_path / "recipe")
        found = RecipeData(recipe, keys, allow_code=True).encode("train")
        assert {task: len(split) for task, split in found.items()} == {"topic": 144, "mood": 48, "score": 96}
        with pytest.raises(RecipeError, match="own_study.clean' is code"):
            RecipeData(recipe, keys)
