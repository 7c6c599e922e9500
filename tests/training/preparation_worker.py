"""Use a model in some way, then train it on several processes; started by `test_preparation`.

Usage: preparation_worker.py OUTPUT.json. Each way's largest difference between the processes is written at the end.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.nn.parallel import DistributedDataParallel

from hf_mtl import MultiTaskTrainer
from hf_mtl.errors import RunError
from tests import tiny
from tests.training.trainers import make, parameters

Use = Callable[[MultiTaskTrainer], object]


def _another(trainer: MultiTaskTrainer) -> MultiTaskTrainer:
    return make(Path(tempfile.mkdtemp()), model=trainer.model, max_steps=2, bf16=True)


USES: dict[str, Use] = {
    "nothing": lambda trainer: None,
    "evaluate": lambda trainer: trainer.evaluate(),
    "predict": lambda trainer: trainer.predict(tiny.datasets({"topic": 9})),
    "calibrate": lambda trainer: trainer.calibrate(),
    "train": lambda trainer: trainer.train(),
    "train and evaluate": lambda trainer: (trainer.train(), trainer.evaluate()),
    "another Trainer evaluates": lambda trainer: _another(trainer).evaluate(),
    "another Trainer trains": lambda trainer: _another(trainer).train(),
    "another Accelerator evaluates": lambda trainer: Accelerator(cpu=True).prepare_model(
        trainer.model, evaluation_mode=True
    ),
}
"""What happens to a model before it is trained, by name."""


def apart(use: Use) -> float | str:
    """How far apart the processes are after training, and whether that is known to be so."""
    trainer = make(Path(tempfile.mkdtemp()), max_steps=3)
    use(trainer)
    trainer.train()
    mine = torch.cat([value.flatten() for value in parameters(trainer).values()])
    everyone = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(everyone, mine)
    if not isinstance(trainer.model_wrapped, DistributedDataParallel):
        return "unwrapped"
    return max(float((one - mine).abs().max()) for one in everyone)


def refused() -> str:
    """What is said of a model that stays bare, whatever made it so."""
    trainer = make(Path(tempfile.mkdtemp()), max_steps=3)
    trainer.accelerator.prepare_model = lambda model, **_: model
    try:
        trainer.train()
    except RunError as error:
        return str(error)
    return "trained"


def main(output: Path) -> None:
    found = {name: apart(use) for name, use in USES.items()} | {"refused": refused()}
    if torch.distributed.get_rank() == 0:
        output.write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
