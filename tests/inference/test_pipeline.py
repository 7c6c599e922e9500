"""The pipeline of transformers: every head, lists, generators and datasets, and what it is told."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from transformers.pipelines.pt_utils import KeyDataset

import hf_mtl
from hf_mtl import MultipleChoice, MultiTaskModel, SequenceClassification, SpanExtraction, TokenClassification
from hf_mtl.errors import DataError, ModelError
from hf_mtl.inference.pipeline import TASK, MultiTaskPipeline
from hf_mtl.modeling.heads import HEADS
from tests import tiny
from tests.close import close

TEXTS = tiny.rows("mood", 11, seed=5)["text"][:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a calibrated task, beside its tokenizer."""
    place = tmp_path_factory.mktemp("model")
    model = tiny.model()
    model.set_statistics("score", mean=[10.0, -5.0], std=[2.0, 3.0])
    model.set_calibration_temperature("mood", 3.0)
    model.save_pretrained(place)
    tiny.tokenizer().save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def made(folder: Path) -> MultiTaskPipeline:
    return hf_mtl.pipeline(folder, device="cpu")


def test_transformers_knows_it_by_its_name_after_the_import(folder: Path, made: MultiTaskPipeline) -> None:
    found = transformers.pipeline(TASK, model=str(folder), device="cpu")
    assert isinstance(found, MultiTaskPipeline)
    assert found(TEXTS) == close(made(TEXTS))


@pytest.mark.parametrize(
    "order",
    [
        "import hf_mtl, transformers.pipelines",
        pytest.param("import transformers.pipelines, hf_mtl", marks=pytest.mark.slow),
    ],
)
def test_it_is_registered_whatever_is_imported_first(order: str) -> None:
    known = f"{TASK!r} in transformers.pipelines.PIPELINE_REGISTRY.supported_tasks"
    late = "import sys, hf_mtl; assert not {'torch', 'transformers', 'datasets'} & set(sys.modules); "
    program = f"{late if order.startswith('import hf') else ''}{order}; assert {known}"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_it_predicts_what_the_model_does(folder: Path, made: MultiTaskPipeline) -> None:
    model = MultiTaskModel.from_pretrained(folder)
    expected = model.predict(TEXTS)
    assert made(TEXTS) == close(expected)
    assert made(TEXTS, batch_size=4) == close(expected)
    assert made(TEXTS[0]) == close(expected[0])
    assert made(TEXTS, task_name="mood") == close([row["mood"] for row in expected])
    assert made(TEXTS, top_k=2, batch_size=3) == close(model.predict(TEXTS, top_k=2))
    assert len(made(TEXTS[0], top_k=None)["topic"]) == 3
    # Calibrated, and in the units of the targets.
    with torch.no_grad():
        logits = model(**tiny.tokenizer()(TEXTS[0], return_tensors="pt")).logits
    shares = torch.softmax(logits["mood"], dim=-1)[0]
    assert expected[0]["mood"]["score"] == pytest.approx(shares.max().item(), rel=1e-5)
    assert [item["value"] for item in expected[0]["score"]] == pytest.approx(logits["score"][0].tolist(), rel=1e-5)


def test_generators_and_datasets_come_one_by_one_and_lists_at_once(made: MultiTaskPipeline) -> None:
    expected, taken = made(TEXTS), []

    def texts() -> Iterator[str]:
        for text in TEXTS:
            taken.append(text)
            yield text

    found = iter(made(texts()))
    assert next(found) == close(expected[0])
    assert len(taken) == 1
    assert [*found] == close(expected[1:])
    rows = Dataset.from_dict({"text": TEXTS, "other": range(11)})
    assert list(made(rows, batch_size=4)) == close(expected)
    assert list(made(KeyDataset(rows, "text"), batch_size=4)) == close(expected)
    assert made([]) == []


@pytest.mark.parametrize("head", [*HEADS.names(), "lora"])
def test_every_head_comes_back_from_a_folder_into_a_pipeline(head: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"peft": {"type": "lora", "r": 2}} if head == "lora" else {"head": head}
    model = tiny.model(**options, freeze="encoder" if head == "stl_cnn" else None)
    model.set_statistics("score", mean=[10.0, -5.0], std=[2.0, 3.0])
    model.remember_tokenizer(tiny.tokenizer())
    expected = model.predict(TEXTS)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    assert hf_mtl.pipeline(tmp_path, device="cpu")(TEXTS) == close(expected)


def test_a_decoder_whose_tokenizer_does_not_pad_answers_in_batches() -> None:
    llama = {
        **{"model_type": "llama", "vocab_size": 66, "hidden_size": 16, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24},
        "max_position_embeddings": 40,
    }
    model = MultiTaskModel.from_backbone(llama, tiny.TASKS, "linear")
    tokenizer = tiny.tokenizer()
    tokenizer.pad_token = None
    expected = model.predict(TEXTS, processing_class=tokenizer)
    found = hf_mtl.pipeline(model, tokenizer=tokenizer, device="cpu")
    assert found(TEXTS, batch_size=4) == close(expected)
    assert found(TEXTS[0]) == close(expected[0])
    assert found.tokenizer is tokenizer


def test_pairs_and_tags_have_characters(tmp_path: Path) -> None:
    tasks = {
        "nli": SequenceClassification(text=["premise", "hypothesis"], labels=["yes", "no"]),
        "qa": SpanExtraction(no_answer=False),
        "tags": TokenClassification(text="words", labels=["noun", "verb"]),
    }
    model = tiny.model(tasks=tasks, head="linear")
    found = hf_mtl.pipeline(model, tokenizer=tiny.tokenizer(), device="cpu")
    context = "w3 w4 w5"
    pair = {"text": "w1 w2", "text_pair": context}
    row = found([pair, pair], batch_size=2)[1]
    assert list(row) == ["nli", "qa"]
    assert row["qa"]["answer"] == context[row["qa"]["start"] : row["qa"]["end"]] != ""
    assert found(("w1 w2", context)) == close(row)
    assert found(pair, task_name="nli") == close(row["nli"])
    tags = found("w7  w8", task_name="tags")
    assert [(item["word"], item["start"], item["end"]) for item in tags] == [("w7", 0, 2), ("w8", 4, 6)]
    listed = found({"words": ["w7", "w8"]}, task_name="tags")
    assert [item["tag"] for item in listed] == [item["tag"] for item in tags]


def test_lists_of_a_mapping_are_read_as_the_model_reads_them() -> None:
    tasks = {
        "tags": TokenClassification(text="words", labels=["noun", "verb"]),
        "choice": MultipleChoice(text="context", choices="choices"),
        "mood": tiny.TASKS["mood"],
    }
    model = tiny.model(tasks=tasks, head="linear")
    model.remember_tokenizer(tiny.tokenizer())
    pipe = hf_mtl.pipeline(model, tokenizer=tiny.tokenizer(), device="cpu")
    one, several = ["w7", "w8", "w9"], [["w7", "w8"], ["w9"]]
    cases: list[tuple[dict[str, Any], str, int | None]] = [
        ({"words": one}, "tags", None),
        ({"words": np.array(one)}, "tags", None),
        ({"words": several}, "tags", 2),
        ({"text": one}, "mood", 3),
        ({"text": one, "words": one}, "tags", None),
        ({"context": "w1", "choices": one}, "choice", None),
        ({"context": ["w1", "w2"], "choices": several}, "choice", 2),
        ({"text": []}, "mood", 0),
    ]
    for rows, task, count in cases:
        found = model.predict(rows, task)
        assert pipe(rows, task_name=task) == close(found)
        single = task == "tags" and count is None
        assert (len(found) if isinstance(found, list) and not single else None) == count
    assert model.predict({"words": one}, "tags") == close(model.predict([{"words": one}], "tags")[0])
    refused = {
        r"'words' may hold a text for each row, or the words of one row": ({"words": ["w1 w2", "w3"]}, "tags"),
        r"'context' holds a value for each row, and 'choices' the list": ({"context": one, "choices": one}, "choice"),
    }
    for problem, (rows, task) in refused.items():
        with pytest.raises(DataError, match=problem):
            model.predict(rows, task)
        with pytest.raises(DataError, match=problem):
            pipe(rows, task_name=task)


def test_a_column_that_one_task_reads_as_texts_has_a_text_for_each_row() -> None:
    tasks = {"tags": TokenClassification(labels=["noun", "verb"], text="text"), "mood": tiny.TASKS["mood"]}
    model = tiny.model(tasks=tasks, head="linear")
    pipe = hf_mtl.pipeline(model, tokenizer=tiny.tokenizer(), device="cpu")
    expected = model.predict(["w1", "w2"], processing_class=tiny.tokenizer())
    assert pipe({"text": ["w1", "w2"]}) == close(expected)
    assert model.predict({"text": ["w1", "w2"]}, processing_class=tiny.tokenizer()) == close(expected)
    words = pipe({"text": ["w1", "w2"]}, task_name="tags")
    assert [item["word"] for item in words] == ["w1", "w2"]


def test_a_row_that_cannot_be_read_has_none_and_the_others_theirs(made: MultiTaskPipeline) -> None:
    found = made([TEXTS[0], "", None, TEXTS[1]], batch_size=4, task_name="mood")
    assert found[1:3] == [None, None]
    assert [found[0], found[3]] == close(made(TEXTS[:2], task_name="mood"))


def test_a_saved_pipeline_is_a_model_with_its_tokenizer(made: MultiTaskPipeline, tmp_path: Path) -> None:
    made.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py"))
    assert hf_mtl.pipeline(tmp_path, device="cpu")(TEXTS) == close(made(TEXTS))


def test_what_it_does_not_know_is_refused(made: MultiTaskPipeline, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"task_name: the model has no task 'moods'.*Did you mean 'mood'"):
        made("w1", task_name="moods")
    with pytest.raises(TypeError, match="no such argument of the pipeline: topk"):
        made("w1", topk=2)
    with pytest.raises(ModelError, match="found a BertModel"):
        transformers.pipeline(TASK, model=tiny.model().encoder, tokenizer=tiny.tokenizer())
    with pytest.raises(ModelError, match="no tokenizer is known"):
        hf_mtl.pipeline(tiny.model())
