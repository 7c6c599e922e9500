"""Gradients of an embedding table, collected over many micro-batches."""

import torch

from hf_mtl.gradients.tables import PARTS, TableRows
from hf_mtl.processes import Processes


def test_many_micro_batches_add_up_and_keep_no_more_than_the_rows_they_touch() -> None:
    generator = torch.Generator().manual_seed(0)
    table = TableRows(50, 3, 2, torch.float32, torch.device("cpu"))
    expected = torch.zeros(2, 50, 3)
    for _ in range(40):
        for task in range(2):
            ids = torch.randint(50, (20,), generator=generator)
            gradient = torch.randn(20, 3, generator=generator)
            table.add(task, ids, gradient)
            expected[task].index_add_(0, ids, gradient)
        assert len(table._parts) <= PARTS * 2
        assert sum(len(ids) for _, ids, _ in table._parts) <= 2 * 50 + PARTS * 2 * 20
    table.close(Processes())
    weights = torch.tensor([0.5, -2.0])
    found = table.dense(weights @ table.values)
    assert torch.allclose(found, torch.einsum("t,tvh->vh", weights, expected), atol=1e-4)
