from hf_mtl.data.section import Spec, parse
from hf_mtl.errors import Mistake


def test_nothing_and_a_section_that_was_read_are_read_as_they_are() -> None:
    wrong: list[Mistake] = []
    spec = Spec(contamination="drop")
    assert parse(None, wrong) == Spec() == Spec(contamination="warn")
    assert parse(spec, wrong) is spec
    assert (spec.options(), Spec().options(), wrong) == ({"contamination": "drop"}, {}, [])


def test_what_is_wrong_is_said_and_left_out() -> None:
    wrong: list[Mistake] = []
    assert parse({"contamination": "dorp", "colour": 1}, wrong) == Spec()
    assert sorted(item.key for item in wrong) == ["data.colour", "data.contamination"]
