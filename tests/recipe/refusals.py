"""The mistakes of a recipe that is refused."""

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe


def mistakes(path: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        load_recipe(path, overrides)
    return str(error.value).splitlines()
