import json
import sys
from pathlib import Path

import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.inference import onnx_graph
from hf_mtl.inference.onnx_export import MODEL, export_onnx
from hf_mtl.modeling import MultiTaskModel
from tests import tiny

ort = pytest.importorskip("onnxruntime")


@pytest.fixture
def model() -> MultiTaskModel:
    made = tiny.model(head="linear", max_length=20)
    made.remember_tokenizer(tiny.tokenizer())
    return made.eval()


def test_a_quantised_graph_of_some_tasks_stands_beside_its_tokenizer(model: MultiTaskModel, tmp_path: Path) -> None:
    seen: list[Path] = []
    model._tokenizer("w1 " * 9, max_length=8, truncation=True, padding="max_length")  # which stays in a fast one
    found = export_onnx(
        model, tmp_path / "out", ["score", "topic"], "int8", lambda path, tokenizer: seen.append(path)
    )
    assert found.tasks == ["topic", "score"]  # in the model's order
    assert found.size < found.float_size
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {MODEL, "tokenizer.json", "tokenizer_config.json"}
    assert seen[0].name == MODEL
    saved = json.loads((tmp_path / "out" / "tokenizer.json").read_text())
    assert (saved["truncation"], saved["padding"]) == (None, None)
    graph = ort.InferenceSession(str(tmp_path / "out" / MODEL))
    assert [item.name for item in graph.get_outputs()] == ["topic", "score"]
    inputs = tiny.tokenizer()(["w1 w2", "w3 w4 w5"], padding=True, return_tensors="pt")
    outputs = graph.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        expected = model(**inputs).logits
    for name, values in zip(found.tasks, outputs, strict=True):
        difference = (torch.from_numpy(values) - expected[name]).abs().max()
        assert 0 < float(difference) < 0.2  # of 8 bits, not of float32
    assert "hf_mtl.tasks" in graph.get_modelmeta().custom_metadata_map


def test_no_quantisation_is_none_and_another_one_is_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    for kind in ("int4", True, "", 8):
        with pytest.raises(ModelError, match=f"quantize: found {kind!r}, .*Allowed: 'int8'; None or False: not at"):
            export_onnx(model, tmp_path / "out", quantize=kind)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    found = export_onnx(model, tmp_path / "out", ["score"], quantize=False)
    assert found.size == found.float_size


def test_a_missing_library_is_one_clear_message(
    model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"--format onnx: onnxscript is not installed: pip install hf_mtl\[onnx\]"):
        export_onnx(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_fails_leaves_nothing(model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="Did you mean 'topic'"):
        export_onnx(model, tmp_path / "out", ["topik"])
    monkeypatch.setattr(onnx_graph, "OPSET", "no number")
    with pytest.raises(ModelError, match=r"found 'bert', and torch\.onnx cannot export it"):
        export_onnx(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())
