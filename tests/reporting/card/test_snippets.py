"""What a card says of using each task runs as it stands, for every type of task."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.reporting.card.snippets import hub_task, loading, usage
from hf_mtl.tasks import Task
from tests import tiny
from tests.task_types.sample import Sample, samples

SAMPLES = samples()
NAMES = ("t", 'a "task" \\ with {braces}')


def run(code: str, given: dict[str, Any]) -> Any:
    """Run lines as they stand, and give the value of the last one."""
    *lines, last = code.rstrip().split("\n")
    exec("\n".join(lines), given)
    return eval(last, given)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_type_of_task_is_used_as_its_card_says(sample: Sample, name: str) -> None:
    import torch

    task = sample.task
    given: dict[str, Any] = {
        "torch": torch,
        "model": tiny.model(tasks={name: task}).eval(),
        "tokenizer": tiny.tokenizer(),
    }
    found = run(usage(name, task), given)
    if task.answers_questions:
        assert set(found) == {"answer", "score", "start", "end"}
    elif task.outputs_per == "token":
        assert [word for word, _ in found] == ["some", "words", "of", "a", "text"]
        assert {tag for _, tag in found} <= set(task.output_names)
    elif task.outputs_per == "sequence":
        assert found in ("one choice", "another", "a third")
    elif task.real_valued:
        assert list(found) == task.output_names
    else:
        assert set(found if isinstance(found, list) else [found]) <= set(task.label_names or ())


def test_a_pair_of_texts_is_read_as_two() -> None:
    task = SequenceClassification(text=["premise", "hypothesis"], labels=["yes", "no"])
    assert 'tokenizer("a text", "and another", return_tensors="pt")' in usage("t", task)


def test_the_lines_that_load_a_model_run(tmp_path: Path) -> None:
    tiny.model().save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    given: dict[str, Any] = {}
    exec(loading(str(tmp_path)), given)
    assert isinstance(given["model"], MultiTaskModel)
    assert run(usage("mood", given["model"].tasks["mood"]), given) in ("good", "bad")


def test_the_hub_knows_what_every_type_does() -> None:
    kinds: dict[str, Task] = {sample.task.type: sample.task for sample in SAMPLES.values()}
    found = {kind: hub_task(task) for kind, task in kinds.items()}
    assert found["token_classification"] == "token-classification"
    assert found["span_extraction"] == "question-answering"
    assert found["multiple_choice"] == "multiple-choice"
    assert {found[kind] for kind in ("regression", "multi_label_classification")} == {"text-classification"}
