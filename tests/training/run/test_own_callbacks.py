"""Callbacks that a recipe names."""

from collections.abc import Iterator
from typing import Any

import pytest
from transformers import TrainerCallback

from hf_mtl.callbacks import CALLBACKS
from hf_mtl.errors import RecipeError
from hf_mtl.recipe.build import build_recipe
from hf_mtl.training.run.own_callbacks import own_callbacks


@pytest.fixture
def kinds() -> Iterator[None]:
    @CALLBACKS.register("of_a_test")
    class OfATest(TrainerCallback):
        def __init__(self, every: int = 1):
            if every < 1:
                raise ValueError("every is below 1")
            self.every = every

    @CALLBACKS.register("no_callback")
    class NoCallback:
        pass

    yield
    for name in ("of_a_test", "no_callback"):
        CALLBACKS._components.pop(name)


def recipe(*callbacks: Any) -> Any:
    task = {"type": "regression", "dataset": {"path": "csv", "data_files": "x.csv"}}
    mistakes: list[Any] = []
    found = build_recipe({"model": {"backbone": "org/x"}, "tasks": {"t": task}, "callbacks": [*callbacks]}, mistakes)
    assert mistakes == []
    return found


def test_they_are_built_with_their_options_in_order(kinds: None) -> None:
    built = own_callbacks(recipe("of_a_test", {"name": "of_a_test", "every": 3}))
    assert [item.every for item in built] == [1, 3]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"name": "of_a_test", "every": 0}, "callbacks.0: 'of_a_test': every is below 1"),
        (
            "no_callback",
            "callbacks.0: 'no_callback' is a NoCallback. Register subclasses of transformers.",
        ),
    ],
)
def test_what_is_no_callback_is_a_mistake(spec: Any, said: str, kinds: None) -> None:
    with pytest.raises(RecipeError, match=said):
        own_callbacks(recipe(spec))
