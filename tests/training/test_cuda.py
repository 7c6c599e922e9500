"""What only a GPU can show; skipped without one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from tests import tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def trainer(folder: Path, weighting: str = "uw", dropout: float = 0.0, **options: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        output_dir=str(folder),
        **{
            "per_device_train_batch_size": 32,
            "max_steps": 20,
            "learning_rate": 0.05,
            "optim": "sgd",
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "logging_steps": 5,
            **options,
        },
    )
    return MultiTaskTrainer(
        model=tiny.model(dropout=dropout),
        args=args,
        train_dataset=tiny.datasets(),
        eval_dataset=tiny.datasets(seed=1),
        processing_class=tiny.tokenizer(),
        balancing={"weighting": weighting},
    )


def weights(run: MultiTaskTrainer) -> dict[str, torch.Tensor]:
    named = {**dict(run.model.named_parameters()), **dict(run.weighting.named_parameters())}
    return {name: value.detach().double().cpu() for name, value in named.items()}


def test_accumulation_and_length_groups_do_not_change_the_update(tmp_path: Path) -> None:
    before = weights(trainer(tmp_path))
    runs = []
    for size, accumulation, layout in [(32, 1, "padded"), (32, 1, "groups"), (32, 1, "packed"), (8, 4, "packed")]:
        run = trainer(
            tmp_path,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            encoder_layout=layout,
            tf32=False,
        )
        run.train()
        runs.append(weights(run))
    for other in runs[1:]:
        for name, value in runs[0].items():
            if not name.endswith("key.bias"):
                assert (other[name] - value).norm() / (value - before[name]).norm() < 1e-3, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains_to_about_the_same_weights(tmp_path: Path, precision: str) -> None:
    exact, mixed = trainer(tmp_path), trainer(tmp_path, **{precision: True})
    before = weights(exact)
    exact.train()
    mixed.train()
    moved = {name: value - before[name] for name, value in weights(exact).items()}
    found = {name: value - before[name] for name, value in weights(mixed).items()}
    # UW's s sees the loss scaler's factor if anybody forgets it: it would be 65536 times off.
    assert torch.allclose(found["s"], moved["s"], rtol=0.05)
    flat, want = (torch.cat([values[name].flatten() for name in moved]) for values in (found, moved))
    assert torch.nn.functional.cosine_similarity(flat, want, dim=0) > 0.95
    assert mixed.evaluate()["eval_average"] == pytest.approx(exact.evaluate()["eval_average"], abs=0.1)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    options = {"optim": "adamw_torch", "learning_rate": 1e-3, "save_strategy": "steps", "save_steps": 10}
    options |= {"full_determinism": True, "dropout": 0.1}
    whole = trainer(tmp_path / "whole", **options)
    whole.train()
    first = trainer(tmp_path / "run", **options)
    first.train()
    resumed = trainer(tmp_path / "run", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-10"))
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value), name
