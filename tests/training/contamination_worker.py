"""Train on several processes without the rows that are scored; started by `test_contamination`.

Usage: contamination_worker.py OUTPUT.json. What each process came to is written at the end.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState

from hf_mtl.data import load
from hf_mtl.errors import UserError
from tests.training.test_contamination import copied
from tests.training.trainers import make, parameters

CALLS: list[str] = []


def came_to() -> dict[str, Any]:
    """Hash and compare once; return what this process has then, and what it is told where rows are refused."""
    PartialState(cpu=True)
    hashes = load.text_keys
    load.text_keys = lambda *args: CALLS.append("") or hashes(*args)  # type: ignore[func-returns-value]
    trainer = make(Path(tempfile.mkdtemp()), evaluation=copied(), data={"contamination": "drop"}, max_steps=2)
    trainer.train()
    weights = torch.cat([value.flatten() for value in parameters(trainer).values()])
    assert trainer.train_dataset is not None
    tokens = trainer.train_dataset["mood"].tokens.flat_ids
    found = {
        "hashed": len(CALLS),
        "rows": trainer.mixture.sizes["mood"],
        "overlaps": [item.to_dict() for item in trainer.overlaps],
        "tokens": hashlib.sha256(tokens.tobytes()).hexdigest(),
        "weights": weights.double().sum().item(),
    }
    try:
        make(Path(tempfile.mkdtemp()), evaluation=copied(), data={"contamination": "error"})
    except UserError as error:
        found["refused"] = str(error)
    return found


def main(output: Path) -> None:
    mine = came_to()
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, mine)
    dist.barrier()
    if dist.get_rank() == 0:
        output.write_text(json.dumps(every))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
