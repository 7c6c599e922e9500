"""Arms of a study and of a sweep: what they extend, what they replace, what is wrong in them."""

from pathlib import Path

import pytest

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.arms import extended, laid_over, name_mistakes, told_once
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.places import Places
from hf_mtl.recipe.yaml_source import parse_yaml
from hf_mtl.validation import MOST_MISTAKES


def node(folder: Path, text: str) -> Node:
    return parse_yaml(text, Origin("study.yaml", str(folder), 3), [])


def laid(folder: Path, extends: str, *layers: str, base: str = "base.yaml", wrong: int = 0) -> Node:
    mistakes: list[Mistake] = []
    files = extended(node(folder, extends), mistakes)
    keys = [node(folder, layer).value for layer in layers]
    found = laid_over(
        (base, Origin("study.yaml", str(folder), 1)), files, keys, {"training.seed": "Say seeds."}, mistakes
    )
    assert len(mistakes) == wrong
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "common.yaml").write_text("training: {max_steps: 1, warmup_steps: 1, weight_decay: 0.1}\n")
    (tmp_path / "base.yaml").write_text("extends: common.yaml\ntraining: {max_steps: 2, warmup_steps: 2}\n")
    (tmp_path / "other.yaml").write_text("extends: common.yaml\ntraining: {warmup_steps: 3}\n")
    return tmp_path


def test_what_the_base_and_another_recipe_extend_is_below_both(folder: Path) -> None:
    found = laid(folder, "other.yaml").plain()
    assert found == {"training": {"max_steps": 2, "warmup_steps": 3, "weight_decay": 0.1}}


def test_later_keys_win_nested_or_dotted(folder: Path) -> None:
    found = laid(folder, "[]", "{training.max_steps: 5, model: {dropout: 0.1}}", "{training: {max_steps: 6}}").plain()
    assert found["training"]["max_steps"] == 6
    assert found["model"] == {"dropout": 0.1}


def test_keys_that_are_decided_or_malformed_are_mistakes(folder: Path) -> None:
    laid(folder, "[]", "{training.seed: 1, training: {seed: 2}}", "{a..b: 1}", wrong=3)


def test_files_that_are_missing_or_none_are_said_by_the_key_that_names_them(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"study.yaml:1: base: no such file: 'nowhere.yaml'"):
        laid(folder, "[]", base="nowhere.yaml")
    with pytest.raises(RecipeError, match=r"study.yaml:3: extends: no such file: 'nowhere.yaml'"):
        laid(folder, "nowhere.yaml")
    laid(folder, "[other.yaml, 3]", wrong=1)


def test_a_name_becomes_a_folder(folder: Path) -> None:
    given = node(folder, "{}")
    assert [len(name_mistakes(name, given)) for name in ("uw+pcgrad", "0.5", "a/b", "a b", "..", "")] == [
        0,
        0,
        1,
        1,
        1,
        1,
    ]


def test_every_mistake_is_said_once_with_its_place(folder: Path) -> None:
    places = Places.of(node(folder, "{trials: 3}"))
    (found,) = told_once([Mistake("trials", "is odd"), Mistake("trials", "is odd")], places)
    assert found.where == "study.yaml:1"
    many = told_once([Mistake("trials", str(number)) for number in range(MOST_MISTAKES + 5)], places)
    assert (len(many), many[-1].problem) == (MOST_MISTAKES + 1, "and 5 more mistakes")


def test_what_all_arms_share_is_told_once_and_what_one_has_besides_of_that_one() -> None:
    shared = Mistake("tasks.topic.label", "found 0", "Allowed: text.", "study.yaml:3")
    of_arm = Mistake("arms.v1.2.tasks.topic.label", "found 0", "Allowed: text.", "study.yaml:3")
    own = Mistake("arms.v1.2.tasks.topic.label", "found 1", "Allowed: text.", "study.yaml:7")
    whole = Mistake("", "is no study", "", "study.yaml:3")
    told = told_once([shared, of_arm, own, of_arm, whole], Places.of(Node({}, Origin("study.yaml", ""))))
    assert told == [shared, own, whole]
