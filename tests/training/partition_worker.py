"""Train the tiny world under one partition and keep the parameters before and after; started by `test_partition`.

Usage: partition_worker.py OUTPUT.safetensors PER_DEVICE ACCUMULATION OPTIM WEIGHTING GROUPING [HEAD]

HEAD is a head with its options, as JSON.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from tests import tiny

# SGD: updates well above the last bit of weights near 1, which would hide what is compared here.
LEARNING_RATE = {"sgd": 0.5, "adamw_torch": 1e-3}


def train(
    per_device: int,
    accumulation: int,
    optim: str,
    weighting: str,
    grouping: bool,
    steps: int = 20,
    head: str | dict[str, Any] | None = None,
    **options: Any,
) -> tuple[dict[str, torch.Tensor], MultiTaskTrainer]:
    """Parameters before (``before/...``) and after (``after/...``), UW's s among them, in float64."""
    # Large weights make gradients whose rounding AdamW blows up where the true gradient is zero (a key's bias).
    model = tiny.model(config={"initializer_range": 0.05}, head=head)
    args = MultiTaskTrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=per_device,
        gradient_accumulation_steps=accumulation,
        optim=optim,
        learning_rate=LEARNING_RATE[optim],
        max_steps=steps,
        length_grouping=grouping,
        group_cost=4,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        window_steps=6,
        **options,
    )
    trainer = MultiTaskTrainer(
        model=model,
        args=args,
        train_dataset=tiny.datasets(),
        processing_class=tiny.tokenizer(),
        balancing={"weighting": weighting},
    )
    named = {**dict(model.named_parameters()), **{f"uw.{k}": v for k, v in trainer.weighting.named_parameters()}}
    found = {f"before/{name}": value.detach().double().clone() for name, value in named.items()}
    trainer.train()
    found |= {f"after/{name}": value.detach().double().clone() for name, value in named.items()}
    return found, trainer


def main() -> None:
    output, per_device, accumulation, optim, weighting, grouping, *head = sys.argv[1:]
    found, trainer = train(
        int(per_device),
        int(accumulation),
        optim,
        weighting,
        grouping == "on",
        head=json.loads(head[0]) if head else None,
    )
    if trainer.is_world_process_zero():
        save_file(found, Path(output))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
