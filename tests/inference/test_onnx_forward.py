from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.data.collate import Collator
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.onnx_forward import GraphForward
from hf_mtl.inference.onnx_graph import write_graph
from tests import tiny
from tests.task_types.sample import samples

pytest.importorskip("onnxruntime")


@pytest.mark.slow
def test_a_graph_answers_the_batches_of_every_task_type_as_the_model_does(tmp_path: Path) -> None:
    chosen = {name: sample for name, sample in samples().items() if "," not in name}
    tasks = {name: sample.task for name, sample in chosen.items()}
    model = tiny.model(tasks=tasks, head="linear").eval()
    model.set_statistics("regression", mean=[3.0, -2.0], std=[0.5, 2.0])
    rows: dict[str, Any] = {name: sample.rows(6) for name, sample in chosen.items()}
    splits = encode_splits(rows, tasks, tiny.tokenizer(), None, "validation")
    write_graph(model, tmp_path / "model.onnx", tiny.tokenizer(), list(tasks))
    forward = GraphForward(tmp_path / "model.onnx", model)
    collator = Collator(splits, pad_id=0, group_cost=None)
    whose = np.repeat(np.arange(len(tasks)), 6)
    batch = collator(whose, np.tile(np.arange(6), len(tasks)))
    with torch.no_grad():
        expected = model(**batch)
    found = forward(**batch)
    assert list(found.logits) == list(tasks)
    for name in tasks:
        torch.testing.assert_close(found.logits[name], expected.logits[name], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.row_losses[name], expected.row_losses[name], rtol=1e-4, atol=1e-4)
