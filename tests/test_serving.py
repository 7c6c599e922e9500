"""The example server in recipes/serving: its answers, its batches, and 200 requests over HTTP."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl import MultiTaskModel, SpanExtraction
from hf_mtl.inference.onnx_export import export_onnx
from tests import tiny
from tests.task_types.sample import samples

pytest.importorskip("onnxruntime")
pytest.importorskip("fastapi")
FOLDER = Path(__file__).parents[1] / "recipes" / "serving"
TASKS = {name: sample.task for name, sample in samples().items() if "," not in name}


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the example's files import each other, as where they are run."""
    monkeypatch.syspath_prepend(str(FOLDER))


def outputs_of(text: Any, values: Sequence[Any]) -> Any:
    from graph import Outputs  # type: ignore[import-not-found]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tiny.tokenizer().backend_tokenizer.to_str())
    return Outputs(tokenizer.encode_batch([text])[0], np.array(values, dtype=np.float32))


def answer(text: Any, values: Sequence[Any], **facts: Any) -> Any:
    import answers  # type: ignore[import-not-found]

    return answers.answer(text, outputs_of(text, values), facts)


def test_classes_labels_and_values_are_named() -> None:
    one = answer("w1", [0.0, np.log(3)], type="sequence_classification", output_names=["a", "b"])
    assert one == {"label": "b", "score": pytest.approx(0.75)}
    facts = {"output_names": ["p", "q"], "thresholds": [0.7, 0.8]}
    several = answer("w1", [np.log(3)] * 2, type="multi_label_classification", **facts)
    assert several == {"labels": ["p"], "scores": {"p": pytest.approx(0.75), "q": pytest.approx(0.75)}}
    assert answer("w1", [1.5], type="regression", output_names=["x"]) == {"values": {"x": 1.5}}
    assert answer("w1", [1.5], type="multiple_choice") == {"logit": 1.5}


def test_ranks_are_those_of_the_task() -> None:
    task = TASKS["ordinal_classification"]
    raw = np.random.default_rng(0).normal(size=(50, task.num_outputs)).astype(np.float32) * 2
    for predict in ("median", "mean"):
        made = task.model_copy(update={"predict": predict})
        facts = {"labels": made.label_names, "task": {"predict": predict}}
        found = [answer("w1", row.tolist(), type="ordinal_classification", **facts) for row in raw]
        expected = made.predictions(raw)  # type: ignore[attr-defined]
        assert [item["label"] for item in found] == [(made.label_names or [])[rank] for rank in expected]
        chances = made.class_probabilities(raw)  # type: ignore[attr-defined]
        assert [item["score"] for item in found] == pytest.approx(chances[range(50), expected].tolist(), abs=1e-6)


def test_tags_stand_at_their_words() -> None:
    facts = {"output_names": ["O", "B-X"]}
    values = [[9, 0], [0, 9], [9, 0], [9, 0]]
    found = answer("w1  w2", values, type="token_classification", **facts)["words"]
    assert [(item["start"], item["end"], item["word"], item["label"]) for item in found] == [
        (0, 2, "w1", "B-X"),
        (4, 6, "w2", "O"),
    ]


def test_answers_are_spans_of_the_context_or_none() -> None:
    facts = {"task": {"max_answer_length": 2}, "null_threshold": 0.0}
    pair = ("w1 w2", "w3 w4 w5")  # [CLS] w1 w2 [SEP] w3 w4 w5 [SEP]
    values = np.zeros((8, 2))
    values[1] = 50  # a token of the question is none of the answer
    values[5, 0], values[6, 1] = 5, 5
    found = answer(pair, values.tolist(), type="span_extraction", **facts)
    assert (found["answer"], found["start"], found["end"]) == ("w4 w5", 3, 8)
    values[4, 0] = 6  # three tokens from there are too many
    assert answer(pair, values.tolist(), type="span_extraction", **facts)["answer"] == "w4 w5"
    values[0] = 20
    assert answer(pair, values.tolist(), type="span_extraction", **facts)["answer"] == ""
    assert "pair" in answer("w1", [[0, 0]] * 3, type="span_extraction", **facts)["error"]


def test_outputs_that_are_not_finite_are_said() -> None:
    found = answer("w1", [np.nan, 1.0], type="sequence_classification", output_names=["a", "b"])
    assert "not finite" in found["error"]


def test_items_that_come_together_are_run_together_and_a_failure_ends_its_batch_alone() -> None:
    from batching import Batcher  # type: ignore[import-not-found]

    batches: list[list[int]] = []

    def run(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        if -1 in items:
            raise ValueError("no")
        time.sleep(0.01)
        return [item * 2 for item in items]

    async def load() -> None:
        batcher = Batcher(run, most=8, wait=0.01)
        worker = asyncio.create_task(batcher.work())
        assert await asyncio.gather(*(batcher(number) for number in range(20))) == [n * 2 for n in range(20)]
        with pytest.raises(ValueError, match="no"):
            await batcher(-1)
        assert await batcher(4) == 8
        worker.cancel()

    asyncio.run(load())
    assert [len(batch) for batch in batches] == [8, 8, 4, 1, 1]


_SERVE = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("hf_mtl", "torch", "transformers"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
sys.argv = ["serve.py", *sys.argv[2:]]
runpy.run_path(sys.path[0] + "/serve.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MultiTaskModel, str]]:
    """A model of every task type and the address of its server, which has none of our libraries."""
    folder = tmp_path_factory.mktemp("serving")
    tasks = {**TASKS, "span_extraction": SpanExtraction(text=["question", "context"])}
    model = tiny.model(tasks=tasks, head="linear").eval()
    model.set_statistics("regression", mean=[3.0, -2.0], std=[0.5, 2.0])
    model.remember_tokenizer(tiny.tokenizer())
    export_onnx(model, folder / "graph")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-I", "-c", _SERVE, str(FOLDER), str(folder / "graph"), "--port", str(port)]
    with (folder / "log").open("w") as log, subprocess.Popen([*command, "--wait", "0.01"], stderr=log) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                assert server.poll() is None, (folder / "log").read_text()
                try:
                    urllib.request.urlopen(address, timeout=5)
                    break
                except OSError:
                    time.sleep(0.1)
            yield model, address
        finally:
            server.terminate()


def ask(address: str, body: dict[str, Any]) -> Any:
    data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/predict", data, headers), timeout=60) as answer:
        return json.load(answer)["answers"]


@pytest.mark.slow
def test_200_requests_at_once_are_answered_in_batches_as_the_model_answers(
    served: tuple[MultiTaskModel, str],
) -> None:
    model, address = served
    words = np.random.default_rng(0).integers(0, 60, size=(200, 8))
    texts = [" ".join(f"w{word}" for word in row[: 1 + number % 8]) for number, row in enumerate(words)]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda text: ask(address, {"texts": [text]})[0], texts))
    inputs = tiny.tokenizer()(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = {name: value.numpy() for name, value in model(**inputs).logits.items()}
    chances = torch.from_numpy(logits["sequence_classification"]).softmax(-1).numpy()
    names = TASKS["sequence_classification"].output_names
    tags = TASKS["token_classification"].output_names
    ranks = TASKS["ordinal_classification"].predictions(logits["ordinal_classification"])  # type: ignore[attr-defined]
    for row, answers in enumerate(found):
        assert list(answers) == list(model.tasks)
        assert answers["sequence_classification"]["label"] == names[chances[row].argmax()]
        assert answers["sequence_classification"]["score"] == pytest.approx(chances[row].max(), abs=1e-4)
        assert list(answers["regression"]["values"].values()) == pytest.approx(logits["regression"][row], abs=1e-4)
        assert answers["ordinal_classification"]["label"] == TASKS["ordinal_classification"].label_names[ranks[row]]
        said = [item["label"] for item in answers["token_classification"]["words"]]
        expected = logits["token_classification"][row, 1 : 1 + len(said)].argmax(-1)
        assert said == [tags[number] for number in expected]
        assert len(said) == len(texts[row].split())
        assert answers["multiple_choice"]["logit"] == pytest.approx(logits["multiple_choice"][row, 0, 0], abs=1e-4)
        assert "pair" in answers["span_extraction"]["error"]
    with urllib.request.urlopen(address) as about:
        sizes = json.load(about)["batches"]
    assert sum(sizes) == 200
    assert max(sizes) > 4  # requests shared passes


@pytest.mark.slow
def test_pairs_some_tasks_and_mistakes(served: tuple[MultiTaskModel, str]) -> None:
    _, address = served
    pair = ["w1 w2", "w3 w4 w5"]
    [found] = ask(address, {"texts": [pair], "tasks": ["span_extraction"]})
    assert list(found) == ["span_extraction"]
    assert found["span_extraction"]["answer"] in pair[1]
    for body, code in {
        '{"texts": ["w1"], "tasks": ["none"]}': 422,
        '{"texts": []}': 422,
        '{"texts": [3]}': 422,
        json.dumps({"texts": ["w" * 200_000]}): 413,
    }.items():
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, json.loads(body))
        assert refused.value.code == code
    assert len(ask(address, {"texts": ["", "w1 " * 500]})) == 2  # nothing, and more than the model takes
