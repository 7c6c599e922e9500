"""Modules of the user's that a recipe names: imported when the user says so, before anything is chosen by name."""

import sys
from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe, read_recipe

PLUGIN = """
from hf_mtl.callbacks import CALLBACKS
from transformers import TrainerCallback

@CALLBACKS.register("{name}")
class Mine(TrainerCallback):
    def __init__(self, score: float, key: str = "macro"):
        self.score = score
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, plugins: object, callbacks: object = None, name: str = "recipe.yaml") -> Path:
    task = {"type": "regression", "dataset": {"path": "csv", "data_files": "x.csv"}}
    content = {"model": {"backbone": "org/x"}, "tasks": {"t": task}, "plugins": plugins, "callbacks": callbacks}
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_plugin_is_imported_with_the_users_word_alone(folder: Path) -> None:
    (folder / "plugin_a.py").write_text(f"open('ran', 'w').close()\n{PLUGIN.format(name='plugin_a')}")
    path = write(folder, ["plugin_a"], ["nothing", {"name": "plugin_a", "score": 0.5}])
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    [mistake] = caught.value.mistakes  # what it would register is not called unknown
    assert str(mistake).startswith(f"{path}:")
    assert "plugins.0: 'plugin_a' is code of your own or of others, which is run when it is imported" in str(mistake)
    assert "--allow-code" in str(mistake)
    with pytest.raises(RecipeError, match="and is not loaded. If you trust it, say so: --allow-code on the"):
        read_recipe(path)  # to be compared with another: nothing is run
    assert not (folder / "ran").exists()
    with pytest.raises(RecipeError, match=r"callbacks\.0: unknown callback 'nothing'\. Known: .*plugin_a"):
        load_recipe(path, allow_code=True)
    assert (folder / "ran").exists()
    recipe = load_recipe(path, ["callbacks=[{name: plugin_a, score: 0.5}]"], allow_code=True)
    assert (recipe.plugins, recipe.callbacks[0].options()) == (["plugin_a"], {"score": 0.5})
    (folder / "again.yaml").write_text(recipe.to_yaml())
    assert load_recipe(folder / "again.yaml", allow_code=True) == recipe == read_recipe(folder / "again.yaml")


def test_options_of_a_callback_are_those_of_its_signature(folder: Path) -> None:
    (folder / "plugin_b.py").write_text(PLUGIN.format(name="plugin_b"))
    path = write(folder, ["plugin_b"], [{"name": "plugin_b", "scoer": 1}, "plugin_b"])
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, allow_code=True)
    said = str(caught.value)
    assert "callbacks.0.scoer: unknown key" in said
    assert "callbacks.0.score: missing" in said
    assert "callbacks.1.score: missing" in said


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ("tickets", r"plugins: found 'tickets'\. Allowed: a list of modules"),
        ([1], "plugins: found "),
        (["../evil"], r"plugins\.0: '\.\./evil' is no name of a module"),
        (["no_such_module"], r"cannot import 'no_such_module' \(ModuleNotFoundError: .*PYTHONPATH"),
        (["plugin_broken"], r"cannot import 'plugin_broken' \(ZeroDivisionError"),
    ],
)
def test_what_cannot_be_imported_is_a_mistake(plugins: object, said: str, folder: Path) -> None:
    (folder / "plugin_broken.py").write_text("1 / 0")
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(folder, plugins), allow_code=True)
    assert "plugin_broken" not in sys.modules


def test_callbacks_are_a_list(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"callbacks: found 'a'\. Allowed: a list"):
        load_recipe(write(folder, None, "a"))
    assert load_recipe(write(folder, None, None)).callbacks == []
