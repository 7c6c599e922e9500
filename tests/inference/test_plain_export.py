import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_mtl import OrdinalClassification, Regression, SequenceClassification, TokenClassification
from hf_mtl.errors import ModelError, UserError
from hf_mtl.inference.plain_export import export_plain, folder_of, plain_places
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Task
from tests import tiny

TASKS: dict[str, Task] = {
    "topic": SequenceClassification(labels=["a", "b", "c"]),
    "score": Regression(label=["x", "y"]),
    "tags": TokenClassification(labels=["O", "B-X", "I-X"], text="text"),
    "stars": OrdinalClassification(labels=["1", "2", "3"]),
}


@pytest.fixture
def model() -> MultiTaskModel:
    made = tiny.model(tasks=TASKS, head="linear", pooling="cls")
    made.set_statistics("score", mean=[3.0, -1.0], std=[2.0, 0.5])
    made.set_calibration_temperature("topic", 1.5)
    made.remember_tokenizer(tiny.tokenizer())
    return made.eval()


def test_every_task_that_can_be_is_written_and_the_others_are_said(model: MultiTaskModel, tmp_path: Path) -> None:
    written, refused = export_plain(model, tmp_path / "out")
    assert written == {
        "topic": "ElectraForSequenceClassification",
        "score": "ElectraForSequenceClassification",
        "tags": "BertForTokenClassification",
    }
    assert list(refused) == ["stars"]
    places = plain_places(tmp_path / "out", written, [])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"topic", "score", "tags"}
    assert all((place / "tokenizer.json").is_file() for place in places.values())


def test_a_task_alone_is_written_into_the_folder_itself(model: MultiTaskModel, tmp_path: Path) -> None:
    export_plain(model, tmp_path / "one", ["topic"])
    assert (tmp_path / "one" / "model.safetensors").is_file()
    export_plain(model, tmp_path / "two", ["topic", "tags"])
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"topic", "tags"}


def test_a_named_task_that_cannot_be_exported_leaves_nothing(model: MultiTaskModel, tmp_path: Path) -> None:
    for tasks in (["stars"], ["topic", "stars"]):
        with pytest.raises(UserError, match=r"tasks\.stars: no AutoModel of transformers has the outputs"):
            export_plain(model, tmp_path / "out", tasks)
    with pytest.raises(ModelError, match="Did you mean 'topic'"):
        export_plain(model, tmp_path / "out", ["topik"])
    assert not list(tmp_path.iterdir())


def test_a_model_of_which_no_task_can_be_exported_leaves_nothing(tmp_path: Path) -> None:
    alone = tiny.model(tasks={"stars": TASKS["stars"]}, head="linear")
    alone.remember_tokenizer(tiny.tokenizer())
    with pytest.raises(UserError, match="--format onnx"):
        export_plain(alone, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_folders_are_written_as_such() -> None:
    assert folder_of("emo.bank") == "emo.bank"
    assert folder_of("a/b") == "a%2Fb"
    assert folder_of("..") == "%2E%2E"
    long = ["x" * 300, "x" * 299 + "y", "語" * 60]
    assert len({folder_of(name) for name in long}) == len(long)
    assert max(len(folder_of(name)) for name in long) < 143


def test_a_task_of_a_very_long_name_is_exported(tmp_path: Path) -> None:
    names = ["x" * 300, "x" * 299 + "y"]
    model = tiny.model(tasks={name: TASKS["topic"] for name in names}, head="linear", pooling="cls")
    model.remember_tokenizer(tiny.tokenizer())
    written, _ = export_plain(model, tmp_path / "out")
    assert [place.is_dir() for place in plain_places(tmp_path / "out", written, []).values()] == [True, True]


_ELSEWHERE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_mtl":
            raise ImportError("hf_mtl is not here")

sys.meta_path.insert(0, Blocked())
from transformers import pipeline

folder, texts = sys.argv[1], json.loads(sys.argv[2])
classify = pipeline("text-classification", model=f"{folder}/topic", top_k=None, device="cpu")
score = pipeline("text-classification", model=f"{folder}/score", top_k=None, function_to_apply="none", device="cpu")
tag = pipeline("token-classification", model=f"{folder}/tags", device="cpu", ignore_labels=[])
named = lambda rows: [{item["label"]: item["score"] for item in row} for row in rows]
tags = [[item["entity"] for item in row] for row in tag(texts)]
assert "hf_mtl" not in sys.modules
print(json.dumps([named(classify(texts, batch_size=2)), named(score(texts, batch_size=2)), tags]))
"""


@pytest.mark.slow
def test_another_process_without_hf_mtl_answers_by_a_pipeline(model: MultiTaskModel, tmp_path: Path) -> None:
    export_plain(model, tmp_path / "out")
    texts = ["w1 w2 w3", "w59", "w7 w8 w9 w10 w11"]
    # -I: neither this folder nor PYTHONPATH is searched, and the cache of the Hub is an empty one.
    environment = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    command = [sys.executable, "-I", "-c", _ELSEWHERE, str(tmp_path / "out"), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    classes, scores, tags = json.loads(done.stdout.strip().splitlines()[-1])
    inputs = tiny.tokenizer()(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    for row, text in enumerate(texts):
        expected = dict(zip("abc", logits["topic"][row].softmax(-1).tolist(), strict=True))
        assert classes[row] == pytest.approx(expected, abs=1e-5)
        assert scores[row] == pytest.approx(
            {"x": float(logits["score"][row, 0]), "y": float(logits["score"][row, 1])}
        )
        names = [TASKS["tags"].output_names[number] for number in logits["tags"][row].argmax(-1)]
        assert tags[row] == names[1 : 1 + len(text.split())]
