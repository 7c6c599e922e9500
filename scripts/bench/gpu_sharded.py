"""Takes steps under FSDP2 and under DDP, and says how far the weights are from each other; one process of several."""

import argparse
import json
import os
from dataclasses import replace
from typing import Any

import torch
from gpu_world import TINY, Scale, Setting, trainer_of
from torch import Tensor, nn

from hf_mtl.errors import HfMtlError

FSDP = {"fsdp": True}
STEPS = 8
ALLOWED = 1e-4  # of the update: float32 adds up in another order


def trained(weighting: str, scale: Scale, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Train a few steps, and return the whole weights on the host."""
    name = scale.models[0]
    more = {"tf32": None if scale.cpu else False, "learning_rate": 1e-3, "optim": "sgd", **arguments}
    setting = Setting(name, 16, balancing={"weighting": weighting}, attention_dropout=0.0, arguments=more)
    trainer = trainer_of(setting, scale)
    for module in trainer.model.modules():
        if isinstance(module, nn.Dropout):  # each rank of a sharded model draws as it likes
            module.p = 0.0
    trainer.train()
    weighting_of: nn.Module = trainer.weighting  # type: ignore[attr-defined]
    named = [*trainer.model.named_parameters(), *weighting_of.named_parameters()]
    return {name.replace("module.", ""): _whole(value).float().cpu() for name, value in named}


def _whole(value: Tensor) -> Tensor:
    whole: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return whole.detach()


def compare(weighting: str, scale: Scale) -> dict[str, Any]:
    """Return what was found, in words, and whether it is wrong."""
    start = trained(weighting, replace(scale, steps=0, warm_up=1), {"learning_rate": 0.0})
    expected = trained(weighting, scale, {})
    try:
        found = trained(weighting, scale, FSDP)
    except HfMtlError as error:
        # accelerate shards nothing on a CPU.
        return {"found": f"refused: {' '.join(str(error).split())[:160]}", "wrong": not scale.cpu}
    moved = torch.cat([(expected[name] - start[name]).flatten() for name in expected]).norm()
    apart = torch.cat([(expected[name] - found[name]).flatten() for name in expected]).norm()
    difference = float(apart / moved)
    return {"found": f"weights differ from DDP's by {difference:.1e} of the update", "wrong": difference > ALLOWED}


def main() -> None:
    """Be one of the processes; the first one says what was found, as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weighting")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    scale = TINY if options.cpu else replace(Scale(), warm_up=0, steps=STEPS)
    answer = compare(options.weighting, scale)
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
