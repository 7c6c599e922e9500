import pytest

from hf_mtl.tasks.templates import Part, parse_template


def test_what_stands_in_braces_is_the_name_of_a_column_whatever_it_is() -> None:
    assert parse_template("{title}. {a.__class__[0]!r:>9} {{x}}") == [
        Part("title", True),
        Part(". ", False),
        Part("a.__class__[0]!r:>9", True),
        Part(" ", False),
        Part("{", False),
        Part("x", False),
        Part("}", False),
    ]


@pytest.mark.parametrize("template", ["{title", "title}", "{}", "{a{b}}", "{{a}} }"])
def test_a_brace_that_stands_alone_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="written twice"):
        parse_template(template)


@pytest.mark.parametrize("template", ["", "words", "{{a}}"])
def test_a_template_has_a_column(template: str) -> None:
    with pytest.raises(ValueError, match="a text with columns in braces"):
        parse_template(template)
