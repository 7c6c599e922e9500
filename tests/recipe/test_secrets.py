import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe
from tests.recipe.texts import MINIMAL

TOKEN = "geheim-7"


def test_a_recipe_with_a_token_shows_and_keeps_none(write):
    recipe = load_recipe(write(MINIMAL), [f"training.hub_token={TOKEN}"])
    for text in (repr(recipe), str(recipe), repr(recipe.training), recipe.to_yaml()):
        assert TOKEN not in text
    assert "hub_token=***" in repr(recipe)
    assert recipe.training.options()["hub_token"] == TOKEN


@pytest.mark.parametrize(
    "override",
    [f"training.hub_token=[{TOKEN}", f"training.hub_token=[{TOKEN}]", f"training.hub_token={{a: {TOKEN}}}"],
)
def test_a_malformed_token_is_not_repeated(write, override):
    with pytest.raises(RecipeError, match=r"training\.hub_token: found \*\*\*") as caught:
        load_recipe(write(MINIMAL), [override])
    assert TOKEN not in str(caught.value) + repr(caught.value.mistakes)


def test_an_override_without_a_key_is_not_repeated_with_its_password(write):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [f"https://anna:{TOKEN}@host/a.csv"])
    assert TOKEN not in str(caught.value)


def test_urls_with_passwords_are_refused_with_their_lines(write):
    text = MINIMAL.replace("some/data}", f"csv, data_files: 'https://anna:{TOKEN}@host/a.csv'}}")
    text = text.replace(
        "{path: some/ratings}", f"[{{path: x/y}}, {{path: json, data_files: [a.json, 's3://k:{TOKEN}@b']}}]"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    first, second = str(caught.value).splitlines()
    assert first.startswith(
        "recipe.yaml:5: tasks.emotion.dataset.data_files: 'https://***@host/a.csv' has a password"
    )
    assert second.startswith("recipe.yaml:9: tasks.rating.dataset.1.data_files: 's3://***@b' has a password")


def test_names_with_escapes_are_written_out(write):
    text = MINIMAL.replace("emotion:", '"emo\\e[31m\\ntion":').replace("some/data}", "csv, oh: 1}")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    assert "tasks.emo\\x1b[31m\\ntion.dataset.oh: unknown key 'oh'" in str(caught.value)
    assert "\x1b" not in str(caught.value)
