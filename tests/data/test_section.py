from hf_mtl.data.section import ImbalanceSpec, Spec, mistakes, parse
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


def test_a_task_is_trained_or_beside() -> None:
    spec = Spec(beside={"a": {"type": "sequence_classification"}})
    assert [str(item) for item in mistakes(spec, ["a", "b"])] == [
        "data.beside.a: is a task that is trained. Leave one of them out."
    ]
    assert mistakes(spec, ["b"]) == []


def test_a_ratio_names_each_task_once_and_no_other() -> None:
    wrong: list[Mistake] = []
    spec = parse({"imbalance": {"ratio": {"a": 8, "bb": 1}}}, wrong)
    assert (spec.imbalance, wrong) == (ImbalanceSpec(ratio={"a": 8, "bb": 1}), [])
    assert [str(item) for item in mistakes(spec, ["a", "b"])] == [
        "data.imbalance.ratio.bb: unknown task 'bb'. Known: a, b. Did you mean 'b'?",
        "data.imbalance.ratio: nothing for b. Give one value for every task.",
    ]
    assert mistakes(spec, ["a", "bb"]) == mistakes(Spec(), ["a"]) == []
    parse({"imbalance": {"ratio": {"a": 0, "b": 1.5}, "unit": 0}}, wrong)
    assert sorted(item.key for item in wrong) == [
        "data.imbalance.ratio.a",
        "data.imbalance.ratio.b",
        "data.imbalance.unit",
    ]
