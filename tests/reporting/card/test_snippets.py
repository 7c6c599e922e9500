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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_type_of_task_is_used_as_its_card_says(sample: Sample, name: str) -> None:
    model = tiny.model(tasks={name: sample.task}).eval()
    model.remember_tokenizer(tiny.tokenizer())
    found = eval(usage(name, sample.task), {"model": model})
    entries = found if isinstance(found, list) else [found]
    assert all({"score", "value"} & set(entry) for entry in entries)
    assert entries or sample.task.outputs_per == "token" or sample.task.problem_type == "multi_label_classification"


def test_a_pair_of_texts_is_read_as_two() -> None:
    task = SequenceClassification(text=["premise", "hypothesis"], labels=["yes", "no"])
    assert usage("t", task) == 'model.predict(("a text", "and another"), "t")'


def test_the_lines_that_load_a_model_run(tmp_path: Path) -> None:
    tiny.model().save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    given: dict[str, Any] = {}
    exec(loading(str(tmp_path)), given)
    assert isinstance(given["model"], MultiTaskModel)
    assert eval(usage("mood", given["model"].tasks["mood"]), given)["label"] in ("good", "bad")


def test_the_hub_knows_what_every_type_does() -> None:
    kinds: dict[str, Task] = {sample.task.type: sample.task for sample in SAMPLES.values()}
    found = {kind: hub_task(task) for kind, task in kinds.items()}
    assert found["token_classification"] == "token-classification"
    assert found["span_extraction"] == "question-answering"
    assert found["multiple_choice"] == "multiple-choice"
    assert {found[kind] for kind in ("regression", "multi_label_classification")} == {"text-classification"}
