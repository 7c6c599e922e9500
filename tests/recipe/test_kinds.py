"""A file of another kind than was asked for is one mistake, where it is clear what it is."""

from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.experiments.sweep.file import SweepFile, read_sweep
from hf_mtl.recipe import Recipe, load_recipe
from hf_mtl.recipe.extends import read_extended
from hf_mtl.recipe.kinds import NEEDS, OF_BOTH, OF_STUDIES, OF_SWEEPS, kind_of
from hf_mtl.recipe.nodes import Node, Origin

READERS = {"recipe": load_recipe, "study": load_study, "sweep": read_sweep}
TEXTS = {
    "recipe": "model: {backbone: x}\ntasks: {}\nbaselines: {}\n",
    "study": "base: sub/recipe.yaml\narms: {uw: {}}\nseeds: 2\n",
    "sweep": "base: sub/recipe.yaml\ntrials: 3\narms: {uw: {}}\noutput_dir: out\n",
}
ORDERED = [(kind, wanted) for kind in TEXTS for wanted in READERS if kind != wanted]


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("kind", "wanted"), ORDERED)
def test_a_file_of_another_kind_is_one_mistake(kind: str, wanted: str, extended: bool, tmp_path: Path) -> None:
    path = write(tmp_path, TEXTS[kind])
    if extended:
        path = write(tmp_path, "extends: mine.yaml\noutput_dir: other\n", "more.yaml")
    with pytest.raises(RecipeError) as caught:
        READERS[wanted](path)
    (said,) = (str(item) for item in caught.value.mistakes)
    assert f"is a {kind}: it has " in said
    assert f". Give a {wanted}" in said
    assert ("sub/recipe.yaml" in said) == (wanted == "recipe")


@pytest.mark.parametrize("wanted", READERS)
def test_a_missing_file_is_called_what_is_asked_for(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"no such file. Give the path of a {wanted}, a YAML file."):
        READERS[wanted](tmp_path / "nope.yaml")
    needs = {str(kind): keys for kind, keys in NEEDS.items()}[wanted]
    with pytest.raises(RecipeError, match=f"A {wanted} needs at least {needs}."):
        READERS[wanted](write(tmp_path, ""))


def test_a_base_that_is_a_study_is_said_at_the_key(tmp_path: Path) -> None:
    write(tmp_path, TEXTS["study"], "study.yaml")
    path = write(tmp_path, "base: study.yaml\narms: {uw: {}, ew: {balancing.weighting: ew}}\n")
    with pytest.raises(RecipeError, match=r"mine.yaml:1: base: .*study.yaml is a study") as caught:
        load_study(path)
    assert len(caught.value.mistakes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "model: {}\ntaks: {}\n",
        "tasks: {}\nbase: recipe.yaml\n",
        "base: recipe.yaml\narms: {uw: {}}\ntrails: 3\n",
        "base: recipe.yaml\narms: {uw: {}}\nseeds: 3\ntrials: 3\n",
        "arms: {uw: {}}\nseeds: 3\n",
    ],
)
def test_a_file_that_may_be_of_another_kind_keeps_its_own_mistakes(text: str, tmp_path: Path) -> None:
    assert kind_of(read_extended(write(tmp_path, text), [])) is None


EITHER = "base: recipe.yaml\narms: {uw: {}}\noutput_dir: out\nset: {training.max_steps: 3}\n"


def test_a_file_that_may_be_a_sweep_is_extended_by_one_and_made_one_on_the_command_line(tmp_path: Path) -> None:
    either = write(tmp_path, EITHER, "either.yaml")
    more = write(tmp_path, "extends: either.yaml\ntrials: 3\n")
    for path, overrides in ((more, []), (either, ["trials=3"]), (either, [])):
        with pytest.raises(RecipeError) as caught:
            read_sweep(path, overrides)
        said = [str(item) for item in caught.value.mistakes]
        assert not any("is a study" in item for item in said)
        assert any("recipe.yaml" in item for item in said)  # which is not there
        assert any("trials" in item for item in said) == (path == either and not overrides)


@pytest.mark.parametrize(
    ("arm", "kind"),
    [
        ("{search: {training.learning_rate: {low: 1e-5, high: 1e-3}}}", "sweep"),
        ("{search.training.learning_rate: {low: 1e-5, high: 1e-3}}", "sweep"),
        ("{scalarisation: {}}", "sweep"),
        ("single_task", "study"),
        ("{single_task: true}", "study"),
    ],
)
def test_arms_tell_what_else_may_be_a_study_or_a_sweep(arm: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"base: recipe.yaml\narms: {{uw: {arm}, ew: {{}}}}\noutput_dir: out\n")
    for wanted, read in READERS.items():
        with pytest.raises(RecipeError) as caught:
            read(path)
        said = [str(item) for item in caught.value.mistakes]
        assert any(f"is a {kind}: it has " in item for item in said) == (wanted != kind)
        if kind == "sweep" != wanted:
            assert f"is a sweep: it has arms.uw. Give a {wanted}" in said[0]


def test_telling_keys_are_those_of_the_files() -> None:
    study, sweep = set(StudyFile.model_fields), set(SweepFile.model_fields)
    assert study & sweep == OF_BOTH
    assert study - sweep >= OF_STUDIES
    assert sweep - study >= OF_SWEEPS
    assert not (OF_STUDIES | OF_SWEEPS) & set(Recipe.model_fields)
    assert kind_of(Node(dict.fromkeys(OF_BOTH, Node(None, Origin("", ""))), Origin("", ""))) == "study"
