"""The page of all keys: of recipes, and of the files of experiments."""

import re
from pathlib import Path

import pytest

from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.experiments.reference import KINDS, Kind, reference, schema_of
from hf_mtl.experiments.sweep.file import SweepFile


@pytest.mark.parametrize(("kind", "model"), [("study", StudyFile), ("sweep", SweepFile)])
def test_every_key_of_a_file_has_a_row_with_a_sentence(kind: Kind, model: type, tmp_path: Path) -> None:
    page = reference(kind, tmp_path)
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.M))
    assert {"extends", *model.model_fields} <= set(rows)
    assert all(rows.values())
    assert page in reference("recipe", tmp_path)


def test_what_is_searched_is_described_too(tmp_path: Path) -> None:
    page = reference("sweep", tmp_path)
    assert {"low", "high", "log", "step", "choices", "tasks"} <= set(re.findall(r"^\| `(\w+)` \|", page, re.M))


def test_each_kind_has_a_schema() -> None:
    assert [schema_of(kind)["title"] for kind in KINDS] == [f"hf_mtl {kind}" for kind in KINDS]
