"""A kind of components: found by name, checked by their signatures, built, refused in one way."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from hf_mtl.components import Kind, Registry
from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.signatures import OnlyWith, Options

MODULE = """\
from hf_mtl.components import Kind


@Kind.every["tool"].register("found")
class Found:
    pass
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind[Any]]:
    """A kind whose package has one module, and two components that are registered elsewhere."""
    package = tmp_path / "toolbox"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "found.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(Kind.every)
    kind: Kind[Any] = Kind("tool", "shed.tool", "toolbox", told=("owner",), error=ModelError)

    @kind.register("saw")
    class Saw:
        """Cuts."""

        only_with: ClassVar[OnlyWith] = {"teeth": ("smooth", (False,))}

        def __init__(
            self, owner: str, length: Annotated[float, Field(gt=0)] = 1.0, smooth: bool = False, teeth: int = 3
        ):
            if length > 10:
                raise UserError(Mistake("length", f"found {length:g}", "Allowed: what fits the shed."))
            if length == 7:
                raise ValueError("seven")
            self.owner, self.length, self.teeth = owner, length, teeth

    @kind.register("axe")
    class Axe:
        """Splits."""

        def __init__(self, *, weight: int):
            self.weight = weight

    yield kind
    Kind.every.clear()
    Kind.every.update(before)
    for name in ("toolbox", "toolbox.found"):
        sys.modules.pop(name, None)


def test_a_registry_alone_leaves_its_classes_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "every", {})
    (tmp_path / "empty_shelf").mkdir()
    (tmp_path / "empty_shelf" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    shelf: Registry[Any] = Registry("jar", "shelf.jar", "empty_shelf")
    jar = shelf.register("jam")(type("Jam", (), {}))
    assert shelf["jam"] is jar
    assert not hasattr(jar, "name")
    with pytest.raises(UserError, match=r"shelf\.jar: unknown jar 'jem'\. Known: jam\. Did you mean 'jam'\?"):
        shelf["jem"]


def said(kind: Kind[Any], spec: object, **told: Any) -> list[str]:
    with pytest.raises(ModelError) as caught:
        kind.build(spec, **told)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_modules_of_its_package_are_found_without_being_imported(tools: Kind[Any]) -> None:
    assert tools.names() == ["axe", "found", "saw"]
    assert "found" in tools
    assert tools["found"].name == "found"


def test_no_component_takes_the_name_of_another(tools: Kind[Any]) -> None:
    saw = tools["saw"]
    with pytest.raises(ValueError, match="a tool 'saw' is registered already"):
        tools.register("saw")(type("OtherSaw", (), {}))
    assert tools["saw"] is tools.register("saw")(saw) is saw


def test_a_component_registered_later_is_there_at_once(tools: Kind[Any]) -> None:
    tools.register("rake")(type("Rake", (), {}))
    assert tools.names() == ["axe", "found", "rake", "saw"]
    with pytest.raises(ModelError, match=r"shed\.tool: unknown tool 'rke'\. Known: .* Did you mean 'rake'\?"):
        tools["rke"]


def test_a_name_or_a_mapping_builds_with_what_the_run_tells(tools: Kind[Any]) -> None:
    saw = tools.build("saw", owner="Ada", unused=1)
    assert (saw.owner, saw.length) == ("Ada", 1.0)
    assert tools.build({"name": "saw", "length": 2}, owner="Ada").length == 2.0
    assert tools.build({"name": "axe", "weight": 3}, owner="Ada").weight == 3


def test_a_choice_is_parsed_once_and_frozen(tools: Kind[Any]) -> None:
    mistakes: list[Mistake] = []
    choice = tools.parse({"name": "saw", "length": 2}, mistakes)
    assert isinstance(choice, Options)
    assert (choice.chosen, choice.options()) == ("saw", {"length": 2.0})
    assert choice.settled() == {"length": 2.0, "smooth": False, "teeth": 3}
    assert choice.written() == {"name": "saw", "length": 2.0}
    assert tools.parse(choice, mistakes) is choice
    assert not mistakes
    with pytest.raises(ValueError, match="frozen"):
        choice.length = 3  # type: ignore[attr-defined]


def test_everything_that_is_wrong_with_a_choice_is_said_at_once(tools: Kind[Any]) -> None:
    assert said(tools, {"name": "saw", "length": -1, "smooth": 1, "toeth": 2}) == [
        "shed.tool.length: found -1. Allowed: more than 0.",
        "shed.tool.smooth: found 1. Allowed: true or false.",
        "shed.tool.toeth: unknown key 'toeth'. Known: length, name, smooth, teeth. Did you mean 'teeth'?",
    ]
    assert said(tools, "axe") == ["shed.tool.weight: missing. It has no default."]
    assert said(tools, {"name": "saw", "owner": "Eve"}) == [
        "shed.tool.owner: unknown key 'owner'. Known: length, name, smooth, teeth."
    ]


def test_an_option_that_another_leaves_without_effect_is_refused(tools: Kind[Any]) -> None:
    assert said(tools, {"name": "saw", "smooth": True, "teeth": 5}) == [
        "shed.tool.teeth: does nothing with smooth: true. It is for smooth: false."
    ]
    assert tools.build({"name": "saw", "smooth": True, "teeth": 3}, owner="Ada").teeth == 3


def test_what_a_component_refuses_itself_gets_its_key(tools: Kind[Any]) -> None:
    assert said(tools, {"name": "saw", "length": 11}, owner="Ada") == [
        "shed.tool.length: found 11. Allowed: what fits the shed."
    ]
    assert said(tools, {"name": "saw", "length": 7}, owner="Ada") == ["shed.tool: 'saw': seven."]


def test_a_name_of_another_kind_of_the_section_is_sent_there(tools: Kind[Any]) -> None:
    other: Kind[Any] = Kind("vehicle", "shed.vehicle", "toolbox")
    other.register("cart")(type("Cart", (), {}))
    [text] = said(tools, "cart")
    assert text.endswith("'cart' is of the other family and belongs under shed.vehicle.")


def test_a_mapping_without_a_name_means_the_default(tools: Kind[Any]) -> None:
    kind: Kind[Any] = Kind("lamp", "shed.lamp", "toolbox", field="type", default="bulb")

    @kind.register("bulb")
    class Bulb:
        """Shines."""

        def __init__(self, watts: Annotated[int, Field(ge=1)] = 40):
            self.watts = watts

    assert kind.build({}).watts == kind.build("bulb").watts == kind.build({"type": "bulb"}).watts == 40
    mistakes: list[Mistake] = []
    choice = kind.parse({"watts": 60}, mistakes)
    assert choice is not None
    assert choice.written() == {"watts": 60}
    kind.parse(3, mistakes, "shed.other")
    assert [str(mistake) for mistake in mistakes] == [
        "shed.other: found 3. Allowed: a name, or a mapping of options. Known: bulb, found."
        if "found" in kind
        else "shed.other: found 3. Allowed: a name, or a mapping of options. Known: bulb."
    ]


def test_a_class_that_is_written_anew_takes_its_own_place(tools: Kind[Any]) -> None:
    def write(default: int) -> None:
        def __init__(self: Any, size: int = default) -> None:
            self.size = size

        tools.register("plane")(type("Plane", (), {"__init__": __init__}))

    for default in (3, 4):
        write(default)
        assert tools.options("plane").model_fields["size"].default == default
        assert tools.build("plane").size == default


def test_a_choice_without_a_name_is_told_as_it_was_given(tools: Kind[Any]) -> None:
    assert said(tools, "")[0].startswith("shed.tool: found ''. Allowed: ")
    assert said(tools, {"tool": "saw"})[0].startswith("shed.tool: found {tool: saw}. Allowed: ")
