"""Train the tiny world under one partition and keep the parameters before and after; started by `test_partition`.

Usage: partition_worker.py OUTPUT.safetensors PER_DEVICE ACCUMULATION OPTIM WEIGHTING GROUPING [OPTIONS]

OPTIONS are further keyword arguments of `train`, as JSON.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.batch import EncoderLayout
from tests import tiny
from tests.training.masses import encoded, with_masses, with_weights

# SGD: updates well above the last bit of weights near 1, which would hide what is compared here.
LEARNING_RATE = {"sgd": 0.5, "adamw_torch": 1e-3}


def train(
    per_device: int,
    accumulation: int,
    optim: str,
    weighting: str,
    layout: EncoderLayout,
    steps: int = 20,
    head: str | dict[str, Any] | None = None,
    mixture: dict[str, Any] | None = None,
    schedules: Sequence[dict[str, Any]] = (),
    resume: str | None = None,
    balancing: dict[str, Any] | None = None,
    masses: bool = False,
    evaluated: bool = False,
    **options: Any,
) -> tuple[dict[str, torch.Tensor], MultiTaskTrainer]:
    """Parameters before (``before/...``) and after (``after/...``), what else is learned too, in float64."""
    # Large weights make gradients whose rounding AdamW blows up where the true gradient is zero (a key's bias).
    model = tiny.model(config={"initializer_range": 0.05}, head=head)
    options = {"output_dir": tempfile.mkdtemp(), "save_strategy": "no", "window_steps": 6, **options}
    args = MultiTaskTrainingArguments(
        per_device_train_batch_size=per_device,
        gradient_accumulation_steps=accumulation,
        optim=optim,
        learning_rate=LEARNING_RATE[optim],
        max_steps=steps,
        encoder_layout=layout,
        group_cost=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **options,
    )
    trainer = MultiTaskTrainer(
        model=model,
        args=args,
        train_dataset=with_weights(with_masses(encoded(tiny.SIZES))) if masses else tiny.datasets(),
        eval_dataset=tiny.datasets(seed=1) if evaluated else None,
        processing_class=tiny.tokenizer(),
        balancing=balancing or {"weighting": weighting},
        mixture=mixture,
        schedules=schedules,
    )
    named = {**dict(model.named_parameters()), **{f"uw.{k}": v for k, v in trainer.weighting.named_parameters()}}
    found = {f"before/{name}": value.detach().double().clone() for name, value in named.items()}
    trainer.train(resume_from_checkpoint=resume)
    found |= {f"after/{name}": value.detach().double().clone() for name, value in named.items()}
    if losses := [record["loss"] for record in trainer.state.log_history if "loss" in record]:
        found["log/loss"] = torch.tensor(losses, dtype=torch.float64)
    if trainer.mixture.learner is not None:
        state = trainer.mixture.learner.state_dict()
        for key in ("log_tau", "log_w"):
            if key in state:
                found |= {f"before/{key}": torch.zeros_like(state[key]), f"after/{key}": state[key]}
    return found, trainer


def assert_all_processes_agree(found: dict[str, torch.Tensor]) -> None:
    """To the bit."""
    if torch.distributed.is_initialized():
        everyone: list[dict[str, torch.Tensor]] = [{} for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather_object(everyone, found)
        assert all(torch.equal(one[name], value) for one in everyone for name, value in found.items())


def main() -> None:
    output, per_device, accumulation, optim, weighting, layout, *more = sys.argv[1:]
    options = json.loads(more[0]) if more else {}
    found, trainer = train(int(per_device), int(accumulation), optim, weighting, layout, **options)
    assert_all_processes_agree(found)
    if trainer.is_world_process_zero():
        save_file(found, Path(output))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
