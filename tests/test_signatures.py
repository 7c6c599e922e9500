import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from hf_mtl.signatures import argument_texts, model_from_signature


class Base:
    """A base.

    Args:
        num_tasks: Number of tasks T.
        scale: From the base.
    """


class Method(Base):
    """Do something.

    Source: a paper.

    Args:
        mode: How it is done: ``a``
            or ``b``.
        clip (float): Largest value.

    Raises:
        ValueError: If wrong.
    """

    def __init__(
        self,
        num_tasks: int,
        mode: Literal["a", "b"] = "a",
        clip: Annotated[float, Field(gt=0)] | None = 5.0,
        scale: "float | Sequence[float]" = 1.0,
        widths: tuple[int, ...] = (3, 4),
    ):
        self.options = (num_tasks, mode, clip, scale, widths)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Parent:
    """Parent.

    Args:
        rate: The rate.
    """

    rate: float = 0.1
    color: Color | str = "red"
    _hidden: int = field(init=False, default=3)


@dataclass
class Child(Parent):
    """Child."""

    names: list[str] = field(default_factory=lambda: ["x"], metadata={"help": "The names."})
    callback: Callable[[], int] | None = None


def method_section() -> Any:
    return model_from_signature(Method, exclude=("num_tasks",), name=("name", "method"))


def test_fields_defaults_and_descriptions_come_from_the_signature() -> None:
    fields = method_section().model_fields
    assert list(fields) == ["name", "mode", "clip", "scale", "widths"]
    assert {key: fields[key].default for key in ("mode", "clip", "scale", "widths")} == {
        "mode": "a",
        "clip": 5.0,
        "scale": 1.0,
        "widths": (3, 4),
    }
    assert fields["mode"].description == "How it is done: ``a`` or ``b``."
    assert fields["clip"].description == "Largest value."
    assert fields["scale"].description == "From the base."
    assert method_section().__doc__ == "Do something."


def test_options_are_what_was_set_and_build_the_object() -> None:
    section = method_section().model_validate_json('{"name": "method", "clip": 2, "widths": [1]}', strict=True)
    assert section.options() == {"clip": 2.0, "widths": (1,)}
    assert Method(2, **section.options()).options == (2, "a", 2.0, 1.0, (1,))


@pytest.mark.parametrize(
    "data",
    [
        '{"name": "other"}',
        "{}",
        '{"name": "method", "mode": "c"}',
        '{"name": "method", "clip": 0}',
        '{"name": "method", "x": 1}',
    ],
)
def test_wrong_values_are_refused(data: str) -> None:
    with pytest.raises(ValidationError):
        method_section().model_validate_json(data, strict=True)


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError):
        method_section()(name="method").mode = "b"


def test_dataclass_fields_are_found_with_those_inherited() -> None:
    section: Any = model_from_signature(Child, lenient=True, words={"color": ("green",)})
    assert list(section.model_fields) == ["rate", "color", "names", "callback"]
    assert section().names == ["x"]
    assert section.model_fields["rate"].description == "The rate."
    assert section.model_fields["names"].description == "The names."
    assert section(color="green").options() == {"color": "green"}


def test_an_enum_or_a_word_becomes_a_closed_choice() -> None:
    with pytest.raises(ValidationError, match="'red' or 'blue'"):
        model_from_signature(Parent).model_validate({"color": "pink"})


def test_a_type_that_yaml_cannot_say_is_refused_unless_lenient() -> None:
    with pytest.raises(TypeError, match="Child: a recipe cannot give 'callback"):
        model_from_signature(Child)
    assert model_from_signature(Child, lenient=True).model_fields["callback"].annotation is Any


def test_an_argument_without_annotation_is_refused() -> None:
    def function(a, b: int = 1):  # type: ignore[no-untyped-def]
        """Nothing."""

    with pytest.raises(TypeError, match="the argument 'a' has no annotation"):
        model_from_signature(function)


def test_variadic_arguments_are_refused() -> None:
    def function(a: int, **kwargs: int) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match=r"takes '\*kwargs'"):
        model_from_signature(function)


def test_nested_sections_give_plain_dictionaries() -> None:
    def inner(start: float = 1.0, stop: float = 2.0) -> None:
        """Inner."""

    def outer(anneal: dict[str, Any] | None = None) -> None:
        """Outer."""

    section: Any = model_from_signature(outer, annotations={"anneal": model_from_signature(inner) | None})
    assert section.model_validate_json('{"anneal": {"stop": 3}}').options() == {"anneal": {"stop": 3.0}}
    assert section.model_validate_json('{"anneal": null}').options() == {"anneal": None}
    with pytest.raises(ValidationError):
        section.model_validate_json('{"anneal": {"begin": 3}}')


def test_texts_end_where_the_args_section_ends() -> None:
    assert set(argument_texts(Method)) == {"mode", "clip", "num_tasks", "scale"}


@pytest.mark.parametrize("word", ["options", "copy", "kind"])
def test_an_option_with_a_name_that_is_taken_is_refused(word: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def component({word}: int = 1) -> None: ...", scope)
    with pytest.raises(TypeError, match=f"component: an option cannot be called '{word}'"):
        model_from_signature(scope["component"], name=("kind", "mine"))
