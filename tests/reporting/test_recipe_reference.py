"""The page of all keys of a recipe."""

import re
from typing import Any

import pytest

from hf_mtl.argument_fields import REFUSED
from hf_mtl.balancing import available
from hf_mtl.recipe import json_schema
from hf_mtl.reporting.recipe_reference import recipe_reference
from tests.pages import without_version


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return recipe_reference(tmp_path_factory.mktemp("none"))


def keys(schema: Any) -> set[str]:
    """The keys that a JSON Schema knows, at any depth."""
    if isinstance(schema, list):
        return set().union(*map(keys, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", ())) if isinstance(schema.get("properties"), dict) else set()
    return own.union(*map(keys, schema.values()))


def test_every_key_has_a_row(page: str) -> None:
    schema = json_schema()
    sections = {"model", "tasks", "data", "mixture", "balancing", "schedules", "baselines", "training"}
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.M)) | set(re.findall(r"^\| `\w+` \| `(\w+)` \|", page, re.M))
    assert keys({"properties": schema["properties"], "$defs": schema["$defs"]}) - sections - rows == set()
    assert {line.strip("# `") for line in page.splitlines() if line.startswith("## ")} >= sections - {"training"}


def test_every_row_of_ours_has_a_sentence(page: str) -> None:
    ours = without_version(page)
    assert [line for line in ours.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_what_must_be_given_is_told_from_what_has_a_default(page: str) -> None:
    assert "| `fixed` | `weights` | list of number > 0 or mapping to number > 0 | must be given |" in page
    assert "| `path` | text | must be given |" in page
    assert "| `mt2st_feedback` | `patience` | whole number ≥ 1 | `2` |" in page
    assert "| `head` |" in page
    assert "| `metrics` | text or [metric](#metric) or list of text or [metric](#metric) | `[f1_macro]` |" in page


def test_every_method_and_every_refused_field_is_there(page: str) -> None:
    missing = [name for name in (*available(), *REFUSED) if f"| `{name}` |" not in page]
    assert missing == []


def test_only_the_end_depends_on_the_version_of_transformers(page: str) -> None:
    ours = without_version(page)
    assert len(ours) > len(page) / 2
    assert "per_device_train_batch_size` | whole" in page.removeprefix(ours)
    assert "transformers 5" not in ours


def test_what_is_said_to_stand_at_the_end_is_linked_there(page: str) -> None:
    [anchor] = re.findall(r"\[end of this page\]\(#([\w-]+)\)", page)
    last = [line for line in page.splitlines() if line.startswith("## ")][-1]
    assert anchor == re.sub(r"[^\w -]", "", last.lower()).strip().replace(" ", "-")
