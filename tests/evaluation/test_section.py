"""The section `baselines` of a recipe."""

from typing import Any

import pytest

from hf_mtl.errors import Mistake
from hf_mtl.evaluation.section import Spec, parse


def test_a_prompt_holds_text_task_and_labels() -> None:
    mistakes: list[Mistake] = []
    found = parse({"llm": {"model": "some/model", "template": "{text} [{labels}] {{{task}}}"}}, mistakes)
    assert not mistakes
    assert found.llm is not None
    assert found.llm.prompt("hello {x}", "mood", ["good", "bad"]) == "hello {x} [good, bad] {mood}"
    assert parse({"llm": {"model": "m"}}, mistakes).llm.prompt("hello", "mood", []) == "hello\nmood:"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "key", "problem"),
    [
        ({"llm": {}}, "baselines.llm.model", "missing"),
        ({"llm": {"model": "m", "template": "{task}"}}, "baselines.llm.template", "a text with {text} in it"),
        ({"llm": {"model": "m", "template": "{text}{label}"}}, "baselines.llm.template", "{task} and {labels}"),
        ({"llm": {"model": "m", "template": "{text"}}, "baselines.llm.template", "no template"),
        ({"llm": {"model": "m", "max_rows": 0}}, "baselines.llm.max_rows", ""),
        ({"lm": {"model": "m"}}, "baselines.lm", "unknown key"),
        ([], "baselines", "found"),
    ],
)
def test_mistakes_are_said(given: Any, key: str, problem: str) -> None:
    mistakes: list[Mistake] = []
    assert parse(given, mistakes) == Spec()
    assert [(item.key, problem in str(item)) for item in mistakes] == [(key, True)]
