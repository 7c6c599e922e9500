"""A recipe trained by one process and by two, which end with the same model."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.training.killing import train

ROWS_PER_STEP = 16


def trained_by_one_and_by_two(recipe: Path, folder: Path) -> list[Path]:
    """The folders of both runs, whose weights were compared.

    Sums in another order move float32 by 1e-7, which some tens of steps of Adam make 1e-4 of a weight.
    """
    runs = []
    for processes in (1, 2):
        runs.append(folder / f"run-{processes}")
        train(recipe, runs[-1], processes, f"training.per_device_train_batch_size={ROWS_PER_STEP // processes}")
    one, two = (load_file(run / "model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)
    return runs
