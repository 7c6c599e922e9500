"""Tasks of a type that there is not, and names of tasks that there are not."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from hf_mtl.recipe.task_types import unknown_type
from hf_mtl.task_types.regression import Regression
from hf_mtl.tasks import task_types
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]
NAMES = ", ".join(sorted(task_types()))


@pytest.mark.parametrize(
    "kind",
    ["translation"],
)
def test_a_type_that_is_not_supported_offers_no_other_as_its_spelling(write: Write, kind: str) -> None:
    assert mistakes(write(MINIMAL), f"tasks.emotion.type={kind}") == [
        f"command line: tasks.emotion.type: the task type '{kind}' is not supported. Supported: {NAMES}."
    ]


class Near(Regression):
    comes_near: ClassVar[Mapping[str, str]] = {"translation": "A regression comes near it."}


def test_what_comes_near_a_type_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.recipe.task_types.task_types", lambda: {"regression": Near})
    said = unknown_type("translation", "type")
    assert said.problem == "the task type 'translation' is not supported"
    assert said.remedy == "Supported: regression. A regression comes near it."


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("text-classification", "sequence_classification"),
        ("token-classification", "token_classification"),
        ("ner", "token_classification"),
        ("TokenTagging", "token_classification"),
        ("classification", "sequence_classification"),
        ("SequenceClassification", "sequence_classification"),
        ("seq_classification", "sequence_classification"),
        ("regresion", "regression"),
        ("ordinal", "ordinal_classification"),
        ("MultiLabel", "multi_label_classification"),
        ("ordinal-regression", "ordinal_classification"),
        ("multi-choice", "multiple_choice"),
        ("swag", "multiple_choice"),
        ("question-answering", "span_extraction"),
        ("extractive-qa", "span_extraction"),
    ],
)
def test_another_spelling_of_a_type_is_recognised(write: Write, kind: str, meant: str) -> None:
    [said] = mistakes(write(MINIMAL), f"tasks.emotion.type={kind}")
    assert said.endswith(f"unknown task type '{kind}'. Known: {NAMES}. Did you mean '{meant}'?")


@pytest.mark.parametrize(
    "kind", ["multilabel_classification", "MultiLabel-Classification", "multilabel", "multi_label"]
)
def test_a_type_that_there_is_is_meant_however_its_words_are_divided(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    there = {"multi_label_classification": Regression, "regression": Regression}
    monkeypatch.setattr("hf_mtl.recipe.task_types.task_types", lambda: there)
    said = unknown_type(kind, "type")
    assert said.problem == f"unknown task type '{kind}'"
    assert said.remedy.endswith("Did you mean 'multi_label_classification'?")


def test_a_key_of_no_task_says_which_tasks_there_are(write: Write) -> None:
    assert mistakes(write(MINIMAL), "tasks.toxicity.max_rows=3", "tasks.ratin.label=x") == [
        "command line: tasks.toxicity: no task 'toxicity' has a type and a dataset. Known: emotion, rating. "
        "A new task needs a type and a dataset.",
        "command line: tasks.ratin: no task 'ratin' has a type and a dataset. Known: emotion, rating. "
        "Did you mean 'rating'? A new task needs a type and a dataset.",
    ]


def test_the_other_mistakes_of_a_task_without_a_type_come_with_it(write: Write) -> None:
    recipe = "model: {backbone: b}\ntasks:\n  a: {labl: x, text: 3, head: linaer, labels: [x]}\n"
    said = mistakes(write(recipe))
    assert [item.split(": ")[1] for item in said] == [
        "tasks.a.type",
        "tasks.a.text",
        "tasks.a.labl",
        "tasks.a.dataset",
        "tasks.a.head",
    ]
    assert not any("labels" in item.split(": ")[1] for item in said)  # a classification's key: it may be one
