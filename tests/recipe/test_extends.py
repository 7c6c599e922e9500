"""Which files a recipe extends, in which order they are merged, and what is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import dotted
from hf_mtl.recipe import extends, load_recipe
from hf_mtl.recipe.extends import read_extended


def test_chains_and_lists_of_recipes_are_merged_in_order(write: Callable[..., str]) -> None:
    write("a: 1\nb: 1\nc: 1\nd: 1\n", "sub/root.yaml")
    write("extends: root.yaml\nb: 2\nc: 2\nd: 2\n", "sub/middle.yaml")
    write("c: 3\nd: 3\n", "other.yaml")
    top = write("extends: [sub/middle.yaml, other.yaml]\nd: 4\n", "top.yaml")
    mistakes: list[Mistake] = []
    result = read_extended(top, mistakes)
    assert mistakes == []
    assert result.plain() == {"a": 1, "b": 2, "c": 3, "d": 4}
    places = {dotted(path): str(origin) for path, origin in result.origins()}
    assert places == {
        "": "top.yaml:1",
        "a": "sub/root.yaml:1",
        "b": "sub/middle.yaml:2",
        "c": "other.yaml:1",
        "d": "top.yaml:2",
    }


@pytest.mark.parametrize("bases", ["[vip.yaml, uw.yaml]", "[uw.yaml, vip.yaml]"])
def test_a_shared_base_overwrites_neither_of_two_that_extend_it(write: Callable[..., str], bases: str) -> None:
    write("head: linear\nweighting: ew\nsteps: 1\n", "base.yaml")
    write("extends: base.yaml\nhead: vip\nsteps: 2\n", "vip.yaml")
    write("extends: base.yaml\nweighting: uw\nsteps: 3\n", "uw.yaml")
    result = read_extended(write(f"extends: {bases}\n"), [])
    later = 3 if bases.startswith("[vip") else 2
    assert result.plain() == {"head": "vip", "weighting": "uw", "steps": later}
    places = {dotted(path): str(origin) for path, origin in result.origins()}
    assert (places["head"], places["weighting"]) == ("vip.yaml:2", "uw.yaml:2")


@pytest.mark.parametrize("order", [("vip", "uw"), ("uw", "vip")])
def test_a_shipped_head_and_a_shipped_weighting_go_together(tmp_path: Path, order: tuple[str, str]) -> None:
    folder = Path(__file__).parents[2] / "recipes" / "tweeteval"
    path = tmp_path / "both.yaml"
    path.write_text(f"extends: [{', '.join(str(folder / name) + '.yaml' for name in order)}]\n")
    recipe = load_recipe(path)
    assert recipe.model.head == {"type": "vip", "preset": "paper", "beta": 0.01}
    assert recipe.balancing.weighting.chosen == "uw"


def test_null_in_one_of_two_removes_what_their_base_says(write: Callable[..., str]) -> None:
    write("a: 1\nb: 1\n", "base.yaml")
    write("extends: base.yaml\na: null\n", "left.yaml")
    write("extends: base.yaml\nb: 2\n", "right.yaml")
    assert read_extended(write("extends: [left.yaml, right.yaml]\n"), []).plain() == {"b": 2}


def test_levels_of_diamonds_read_every_file_once(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    reader = extends.read_yaml
    monkeypatch.setattr(extends, "read_yaml", lambda path, *more: read.append(str(path)) or reader(path, *more))
    write("x: 0\n", "0-l.yaml")
    write("y: 0\n", "0-r.yaml")
    for level in range(1, 40):
        for side in "lr":
            bases = f"[{level - 1}-l.yaml, {level - 1}-r.yaml]"
            write(f"extends: {bases}\n{side}{level}: 1\n", f"{level}-{side}.yaml")
    result = read_extended("39-r.yaml", []).plain()
    assert len(read) == len(set(read)) == 79
    assert set(result) == {"x", "y", "r39", *(f"{side}{level}" for side in "lr" for level in range(1, 39))}


def classes_in_order(below: dict[int, list[int]], top: int) -> list[int] | None:
    """The order that Python gives to classes with these bases; None: it refuses them."""
    made: dict[int, type] = {}
    try:
        for name, bases in below.items():
            made[name] = type(str(name), tuple(made[base] for base in reversed(bases)), {})
    except (TypeError, KeyError):
        return None
    return [int(found.__name__) for found in reversed(made[top].__mro__) if found is not object]


@settings(max_examples=60, deadline=None)
@given(
    lists=st.integers(1, 7).flatmap(
        lambda size: st.tuples(*(st.lists(st.integers(0, place), unique=True, max_size=3) for place in range(size)))
    )
)
def test_files_have_the_order_of_pythons_classes(
    tmp_path_factory: pytest.TempPathFactory, lists: tuple[list[int], ...]
) -> None:
    folder = tmp_path_factory.mktemp("graph")
    below = dict(enumerate([[], *lists]))
    for name, bases in below.items():
        listed = ", ".join(f"{base}.yaml" for base in bases)
        (folder / f"{name}.yaml").write_text(f"extends: [{listed}]\nlast: {name}\nat-{name}: {name}\n")
    top = len(lists)
    expected = classes_in_order(reached(below, top), top)
    if expected is None:
        with pytest.raises(RecipeError, match="cannot be put in order"):
            read_extended(folder / f"{top}.yaml", [])
        return
    found = read_extended(folder / f"{top}.yaml", []).plain()
    assert [int(key.removeprefix("at-")) for key in found if key != "last"] == expected
    assert found["last"] == top


def reached(below: dict[int, list[int]], top: int) -> dict[int, list[int]]:
    """What a file extends, at whatever remove, bases first."""
    names = {top}
    for name in sorted(below, reverse=True):
        names |= set(below[name]) if name in names else set()
    return {name: below[name] for name in sorted(names)}


def test_bases_in_opposite_orders_are_one_message(write: Callable[..., str]) -> None:
    write("a: 1\n", "a.yaml")
    write("a: 2\n", "b.yaml")
    write("extends: [a.yaml, b.yaml]\n", "x.yaml")
    write("extends: [b.yaml, a.yaml]\n", "y.yaml")
    with pytest.raises(RecipeError) as error:
        read_extended(write("c: 1\nextends: [x.yaml, y.yaml]\n"), [])
    assert str(error.value) == (
        "recipe.yaml:2: extends: cannot be put in order: a.yaml before b.yaml before a.yaml. "
        "A file comes after all that it extends, and the files of a list stand in one order everywhere."
    )


def test_a_base_after_what_extends_it_is_refused(write: Callable[..., str]) -> None:
    write("a: 1\n", "base.yaml")
    write("extends: base.yaml\na: 2\n", "vip.yaml")
    with pytest.raises(RecipeError, match=r"in order: base\.yaml before vip\.yaml before base\.yaml\. A file"):
        read_extended(write("extends: [vip.yaml, base.yaml]\n"), [])


@pytest.mark.parametrize("again", ["uw.yaml", "./uw.yaml"])
def test_a_file_that_is_listed_twice_is_named(write: Callable[..., str], again: str) -> None:
    write("a: 1\n", "uw.yaml")
    with pytest.raises(RecipeError, match=r"extends: lists uw\.yaml more than once\. Keep one of them"):
        read_extended(write(f"extends: [uw.yaml, {again}]\n"), [])


def test_a_circle_is_refused(write: Callable[..., str]) -> None:
    write("x: 1\nextends: b.yaml\n", "a.yaml")
    write("extends: a.yaml\n", "b.yaml")
    with pytest.raises(RecipeError) as error:
        read_extended("a.yaml", [])
    assert str(error.value) == (
        "b.yaml:1: extends: a circle: a.yaml -> b.yaml -> a.yaml. A recipe cannot extend itself."
    )


def test_a_missing_base_is_said_where_it_is_named(write: Callable[..., str]) -> None:
    path = write("a: 1\nextends: nowhere.yaml\n", "sub/top.yaml")
    with pytest.raises(RecipeError) as error:
        read_extended(path, [])
    assert str(error.value) == "sub/top.yaml:2: extends: no such file: 'nowhere.yaml'. It is relative to sub."


def test_extends_must_be_a_file_or_a_list_of_files(write: Callable[..., str]) -> None:
    mistakes: list[Mistake] = []
    read_extended(write("extends: {a: 1}\nb: 2\n"), mistakes)
    assert [str(item) for item in mistakes] == [
        "recipe.yaml:1: extends: found {a: 1}. Allowed: a file, or a list of files."
    ]
