from pathlib import Path

import pytest

from hf_mtl.errors import UserError
from hf_mtl.inference.onnx_agreement import agreement, read_texts
from hf_mtl.inference.onnx_export import MODEL, export_onnx
from tests import tiny
from tests.task_types.sample import samples

pytest.importorskip("onnxruntime")


def test_texts_are_the_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one\n\ntwo \n")
    assert read_texts(str(tmp_path / "texts")) == ["one", "two "]
    (tmp_path / "empty").touch()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in {"empty": "is empty", "none": "No such file", "bytes": "Give a file of UTF-8"}.items():
        with pytest.raises(UserError, match=f"--texts: .*{said}"):
            read_texts(str(tmp_path / name))


@pytest.mark.slow
def test_predictions_of_every_task_type_are_compared(tmp_path: Path) -> None:
    tasks = {name: sample.task for name, sample in samples().items() if "," not in name}
    model = tiny.model(tasks=tasks, head="linear").eval()
    model.remember_tokenizer(tiny.tokenizer())
    texts = [" ".join(f"w{number % 60}" for number in range(row, row + 1 + row % 7)) for row in range(70)]
    export_onnx(model, tmp_path / "same")
    same = agreement(model, tmp_path / "same" / MODEL, texts, tiny.tokenizer(), list(tasks))
    assert same["sequence_classification"] == "100.00% of 70 predictions are the same"
    assert same["multi_label_classification"] == "100.00% of 210 predictions are the same"
    tokens = sum(len(text.split()) + 2 for text in texts)
    assert same["token_classification"] == f"100.00% of {tokens:,} predictions are the same"
    assert same["span_extraction"] == "100.00% of 70 predictions are the same"
    assert "apart on average" in same["regression"]
    assert "of 70 outputs" in same["multiple_choice"]
    for head in tasks:
        model.heads.parameters_of(head)[0].data.neg_()
    other = agreement(model, tmp_path / "same" / MODEL, texts, tiny.tokenizer(), ["sequence_classification"])
    assert not other["sequence_classification"].startswith("100")
