"""The graph gives what the model gives, for all task types, heads, families, lengths, and sides of padding."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hf_mtl import SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.inference import onnx_graph
from hf_mtl.inference.onnx_facts import FORMAT
from hf_mtl.inference.onnx_graph import input_names, merged, write_graph
from hf_mtl.modeling import MultiTaskModel
from tests import tiny
from tests.modeling.families import FAMILIES, OTHERS, make_model, make_texts, make_tokenizer, padding_of
from tests.task_types.sample import samples

ort = pytest.importorskip("onnxruntime")
TASKS = {name: sample.task for name, sample in samples().items() if "," not in name}
HEADS = ("native", "linear", "mlp", "vip", "hierarchical", "mt_vib", "vmtl")


def session(model: MultiTaskModel, path: Path, tokenizer: Any = None) -> Any:
    write_graph(model, path, tokenizer or make_tokenizer(), list(model.tasks))
    return ort.InferenceSession(str(path))


def compare(model: MultiTaskModel, graph: Any, family: str, lengths: list[int], left: bool) -> None:
    ids, mask = make_texts(lengths, padding=padding_of(family))
    if left:
        ids, mask = ids.flip(1), mask.flip(1)
    found = graph.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    with torch.no_grad():
        logits = model(ids, mask).logits
    for outputs, (name, expected) in zip(found, logits.items(), strict=True):
        wanted = expected[:, 0] if model.tasks[name].outputs_per in ("sequence", "window") else expected
        torch.testing.assert_close(torch.from_numpy(outputs), wanted, rtol=1e-4, atol=1e-4)


def cases() -> Iterator[Any]:
    yield "bert", "linear"
    for head in HEADS:
        yield pytest.param("bert", head, marks=pytest.mark.slow)
    for family in [*FAMILIES, *OTHERS]:
        for head in ("linear", "native"):
            if head == "linear" or family not in (*OTHERS, "deberta"):  # DeBERTa has no model for choices
                yield pytest.param(family, head, marks=pytest.mark.slow)


@pytest.mark.parametrize(("family", "head"), cases())
def test_a_graph_gives_the_outputs_of_the_model(family: str, head: str, tmp_path: Path) -> None:
    model = make_model(family, head, tasks=TASKS)
    with torch.no_grad():
        for name, parameter in model.heads.named_parameters():
            if parameter.is_floating_point() and "log" not in name:
                parameter.mul_(10)
    model.set_statistics("regression", mean=[3.0, -2.0], std=[0.5, 2.0])
    model.set_calibration_temperature("sequence_classification", 1.7)
    graph = session(model, tmp_path / "model.onnx")
    assert [item.name for item in graph.get_outputs()] == list(TASKS)
    assert [item.shape[0] for item in graph.get_inputs()] == ["batch"] * 2
    for lengths in ([9, 4, 7], [5], [3, 12, 1, 2, 2, 6], [1]):
        for left in (False, True):
            compare(model, graph, family, lengths, left)
    facts = graph.get_modelmeta().custom_metadata_map
    assert json.loads(facts["hf_mtl.format"]) == FORMAT
    assert list(json.loads(facts["hf_mtl.tasks"])) == list(TASKS)
    # Where the code stood that made it is nobody's business.
    assert b"site-packages" not in (tmp_path / "model.onnx").read_bytes()


@pytest.mark.slow
def test_convolutions_over_tokens_are_exported(tmp_path: Path) -> None:
    tasks = {"t": SequenceClassification(labels=["a", "b"])}
    model = make_model("bert", "stl_cnn", tasks=tasks, freeze="encoder")
    graph = session(model, tmp_path / "model.onnx")
    for lengths in ([9, 4, 7], [1], [2, 12]):
        compare(model, graph, "bert", lengths, left=False)


@pytest.mark.parametrize(
    "pooling", ["mean", *(pytest.param(name, marks=pytest.mark.slow) for name in ("last", "max"))]
)
def test_a_program_of_torch_export_pools_rectangles_as_the_model_does(pooling: str) -> None:
    model = make_model("bert", "linear", pooling=pooling)
    ids, mask = make_texts([9, 4, 7])
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    shapes = {"input_ids": sizes, "attention_mask": sizes}
    given = {"input_ids": ids, "attention_mask": mask}
    program = torch.export.export(model, (), kwargs=given, dynamic_shapes=shapes).module()
    ids, mask = make_texts([2, 5, 1, 5], seed=3)
    found, expected = program(input_ids=ids, attention_mask=mask).logits, model(ids, mask).logits
    for task in model.tasks:
        torch.testing.assert_close(found[task], expected[task])


def test_adapters_are_merged_into_a_copy() -> None:
    model = make_model("bert", "vip", peft={"type": "lora", "r": 2})
    for name, parameter in model.encoder.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    ids, mask = make_texts([9, 4])
    plain = merged(model, list(model.tasks)).eval()
    assert not any("lora" in name for name, _ in plain.named_parameters())
    for name, expected in model(ids, mask).logits.items():
        torch.testing.assert_close(plain(ids, mask).logits[name], expected)
    assert model.config.peft is not None
    assert merged(plain, list(plain.tasks)) is plain


def test_adapters_of_one_task_are_merged_for_it_alone(tmp_path: Path) -> None:
    model = make_model("bert", "linear", peft={"per_task": {"type": "lora", "r": 2}})
    assert model.private_adapters is not None
    for name, parameter in model.private_adapters.named_parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(name)))
    ids, mask = make_texts([9, 4])
    for name in model.tasks:
        found = merged(model, [name]).eval()(ids, mask, task=name).logits[name]
        torch.testing.assert_close(found, model(ids, mask, task=name).logits[name], rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="adapters of their own, and a graph has one encoder"):
        session(model, tmp_path / "model.onnx")


def test_a_model_in_training_and_in_bfloat16_stays_so_and_is_exported_in_float32(tmp_path: Path) -> None:
    model = make_model("bert", "linear", tasks={"t": SequenceClassification(labels=["a", "b"])}, dropout=0.5)
    model.to(torch.bfloat16).train()
    graph = session(model, tmp_path / "model.onnx")
    assert model.training
    assert model.dtype == torch.bfloat16
    compare(merged(model, list(model.tasks)).eval(), graph, "bert", [9, 4, 7], left=False)


def test_inputs_are_what_tokenizer_and_encoder_both_know() -> None:
    types = ["input_ids", "attention_mask", "token_type_ids"]
    assert input_names(tiny.model(), tiny.tokenizer()) == types
    assert input_names(make_model("distilbert"), tiny.tokenizer()) == types[:2]
    assert input_names(make_model("bert"), make_tokenizer()) == types[:2]


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    model = make_model("bert", "linear", tasks={"input_ids": SequenceClassification(labels=["a", "b"])})
    with pytest.raises(ModelError, match=r"tasks\.input_ids: is the name of an input of the graph"):
        session(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_gives_other_outputs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("bert", "linear", tasks={"t": SequenceClassification(labels=["a", "b"])})

    def other(
        self: onnx_graph.OnnxGraph, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        found = run(self, input_ids, attention_mask)
        return found if torch.compiler.is_exporting() else tuple(values + 0.01 for values in found)

    run = onnx_graph.OnnxGraph.forward
    monkeypatch.setattr(onnx_graph.OnnxGraph, "forward", other)
    with pytest.raises(ModelError, match="found 'bert', and the graph of torch.onnx gives other outputs for t than"):
        session(model, tmp_path / "model.onnx")
