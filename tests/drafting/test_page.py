"""YAML that is written with comments."""

import yaml

from hf_mtl.drafting.page import comment, flow, mapping


def test_values_come_back() -> None:
    for value in ("a: b", "007", ["x", None], {"a": [1, 2.5]}, "true", "", "#", "ä\n"):
        assert yaml.safe_load(f"k: {flow(value)}") == {"k": value}


def test_a_comment_is_wrapped_and_stays_one() -> None:
    lines = comment("word " * 60 + "\nkey: value\x85more\u2028", indent=4)
    assert len(lines) > 2
    assert all(line.startswith("    # ") and len(line) <= 100 for line in lines)
    assert yaml.safe_load("\n".join(lines)) is None


def test_each_reason_stands_above_its_key() -> None:
    keys = {"type": "x", "dataset": {"path": "csv"}}
    lines = list(mapping(keys, 2, {"dataset": "it was given"}, deep=("dataset",)))
    assert lines == ["  type: x", "  # It was given.", "  dataset:", "    path: csv"]
