"""Adapters under a task of any type: those of the task alone reach its rows, whatever a row is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl import MultiTaskModel
from hf_mtl.data.collate import Arrangement, Collator
from hf_mtl.inference.encode import encode_splits
from tests import tiny
from tests.modeling.test_private_adapters import alone
from tests.task_types.sample import Sample

pytestmark = pytest.mark.usefixtures("outside")
BOTH = {"shared": {"type": "lora", "r": 2}, "per_task": {"type": "lora", "r": 3}}


def batch_of(sample: Sample, arrangement: Arrangement) -> Any:
    tasks = {"t": sample.task, "mood": tiny.TASKS["mood"]}
    data = {"t": sample.rows(9), "mood": tiny.rows("mood", 5)}
    splits = encode_splits(data, tasks, tiny.tokenizer(), None, "train")
    return Collator(splits, 0, 64, arrangement)(np.array([0] * 9 + [1] * 5), np.r_[np.arange(9), :5])


@pytest.mark.parametrize("packs", [False, True])
def test_its_rows_go_through_its_adapters_alone(sample: Sample, packs: bool, tmp_path: Path) -> None:
    tasks = {"t": sample.task, "mood": tiny.TASKS["mood"]}
    model = tiny.model(tasks=tasks, peft=BOTH, head="linear").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not name.startswith("heads."):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    for one in (model, loaded):
        one.settle_layout("packed" if packs else "groups")
    plain = {name: alone(model, name) for name in tasks}
    for arrangement in ("segments", "mixed", "split"):
        batch = batch_of(sample, arrangement)
        with torch.no_grad():
            found, again = model(**batch), loaded(**batch)
            for name in tasks:
                wanted = plain[name](**batch)
                torch.testing.assert_close(found.logits[name], wanted.logits[name], rtol=1e-3, atol=1e-4)
                torch.testing.assert_close(found.row_losses[name], wanted.row_losses[name], rtol=1e-3, atol=1e-4)
                assert torch.equal(again.logits[name], found.logits[name])
        assert not torch.allclose(found.row_losses["t"], plain["mood"](**batch).row_losses["t"], rtol=1e-3)
