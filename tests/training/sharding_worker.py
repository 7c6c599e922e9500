"""Train the tiny world with DDP and with parts of the model on every process; started by `test_sharding`.

Usage: sharding_worker.py fsdp|deepspeed OUTPUT.json [CASE...], on several processes, each with a GPU of its own where
there are as many. Each outcome is written when it is known: how far apart the weights are in the end, or a mistake's
words.
"""

import itertools
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from hf_mtl import MultiTaskModel, MultiTaskTrainer
from hf_mtl.errors import CheckpointError
from hf_mtl.inference.manifest import seal
from hf_mtl.modeling.sharded import is_sharded
from tests import tiny
from tests.test_security import Trap
from tests.training.sharding_on_cpu import share_on_cpu
from tests.training.trainers import make

ZERO_2: dict[str, Any] = {
    "zero_optimization": {"stage": 2},
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
    **dict.fromkeys(("train_micro_batch_size_per_gpu", "train_batch_size", "gradient_accumulation_steps"), "auto"),
    "gradient_clipping": "auto",
}
KINDS: dict[str, dict[str, Any]] = {"ddp": {}, "fsdp": {"fsdp": True}, "deepspeed": {"deepspeed": ZERO_2}}
_numbers = itertools.count()
STEPS, ADAM = 8, {"optim": "adamw_torch", "learning_rate": 1e-3, "max_grad_norm": 0.5}
SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 4, "eval_strategy": "steps", "eval_steps": 4}
HEADS = ("hierarchical", "linear", "mlp", "mt_vib", "stl_cnn")

TRAINED: dict[str, dict[str, Any]] = {
    "ew": {},
    "uw": {"weighting": "uw"},
    "imtl_l": {"weighting": "imtl_l", "balancing_learning_rate": 0.3},
    "uw with AdamW": {"weighting": "uw", **ADAM, "head_learning_rate": 1e-2},
    "heads with rates of their own": {"rates": {"mood": 5e-3, "score": 0.0}, "weighting": "uw", **ADAM},
    "famo": {"weighting": "famo"},
    "two micro-batches": {"weighting": "uw", "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
    "micro-batches of tokens": {"weighting": "uw", "tokens_per_micro_batch": 12, **ADAM},
    "losses before a backward": {"weighting": "gls", "gradient_accumulation_steps": 2},
    "a process lacks rows of tasks": {"weighting": "uw", "per_device_train_batch_size": 1},
    "a step lacks tasks": {"weighting": "uw", "per_device_train_batch_size": 1, **ADAM},
    "a process has no rows at all": {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
        "schedules": [{"type": "mt2st_switch", "main": "mood", "at": {"step": 4}}],
    },
    "tasks stop early": {
        "schedules": [{"type": "task_early_stopping", "patience": 1}],
        "window_steps": 3,
        "eval_strategy": "steps",
        "eval_steps": 2,
        **ADAM,
    },
    "groups become padded": {"encoder_layout": "groups"},
    "activations are computed again": {"gradient_checkpointing": True, "weighting": "uw"},
    "LoRA": {"peft": {"type": "lora", "r": 2}, **ADAM},
    "adapters of tasks": {"peft": {"shared": "lora", "per_task": {"type": "lora", "r": 2}}, **ADAM},
    "adapters of tasks, one row a process": {
        "peft": {"shared": "lora", "per_task": {"type": "lora", "r": 2}},
        "per_device_train_batch_size": 1,
        "encoder_layout": "groups",
        **ADAM,
    },
    "bf16": {"bf16": True},
    **{f"head {head}": {"head": head, **ADAM} for head in HEADS},
    "head vmtl": {"head": {"type": "vmtl", "warmup_steps": 2}, **ADAM, "max_grad_norm": 0},
    "a head is brought back to its range": {"head": "vmtl", "log_variance": -10.5, **ADAM, "max_grad_norm": 0},
}
"""Options of runs that end in the weights of DDP."""


def trainer(kind: str, folder: str | None = None, **options: Any) -> MultiTaskTrainer:
    """A Trainer of the tiny world whose processes hold whole models, or parts."""
    os.environ.pop("ACCELERATE_USE_FSDP", None)  # which an earlier accelerator has left
    os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)
    of_model = {key: options.pop(key) for key in ("head", "peft") if key in options}
    low = options.pop("log_variance", None)
    own_rates = options.pop("rates", {}).items()
    tasks = {name: tiny.TASKS[name].model_copy(update={"head_learning_rate": rate}) for name, rate in own_rates}
    model = tiny.model(config={"initializer_range": 0.05}, tasks={**tiny.TASKS, **tasks}, **of_model)
    for name, parameter in model.named_parameters():
        if name.endswith("weight_log_variance") and low is not None:
            parameter.data.fill_(low)
    on_cpu = torch.cuda.device_count() < int(os.environ["WORLD_SIZE"])  # a GPU for each process, or none
    own = {"optim": "sgd", "learning_rate": 0.1, "max_steps": STEPS, "use_cpu": on_cpu}
    given = {**own, **options, **KINDS[kind]}
    return make(Path(folder or tempfile.mkdtemp()), model=model, **given)


def weights(run: MultiTaskTrainer) -> dict[str, Tensor]:
    """Whole parameters of the model and of the weighting."""
    named = {**dict(run.model.named_parameters()), **dict(run.weighting.named_parameters())}
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().double().cpu().clone()
        for name, value in named.items()
    }


def apart(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """The largest difference of any two weights."""
    return max(float((left[name] - right[name]).abs().max()) for name in left if not name.endswith("key.bias"))


def shared_folder() -> str:
    """One folder for all processes, which count them alike."""
    return str(Path(tempfile.gettempdir()) / f"shared-{next(_numbers)}")


def as_ddp(kind: str, **options: Any) -> float:
    """How far a run is from the same with DDP, in its weights and in what it scores."""
    found, losses = [], []
    for one in ("ddp", kind):  # one after the other: accelerate keeps one state for all accelerators
        run = trainer(one, **options)
        run.train()
        assert (is_sharded(run.model), run.is_deepspeed_enabled) == (one == "fsdp", one == "deepspeed")
        found.append(weights(run))
        losses.append(run.evaluate()["eval_loss"])
    return max(apart(*found), abs(losses[0] - losses[1]))


def resumed(kind: str) -> float:
    """How far a run that goes on from its first checkpoint is from the one that wrote it."""
    options: dict[str, Any] = {"weighting": "uw", **ADAM, **SAVING}
    folder = shared_folder()
    first = trainer(kind, folder, **options)
    first.train()
    found = weights(first)
    again = trainer(kind, folder, **options)
    again.train(resume_from_checkpoint=f"{folder}/checkpoint-4")
    return apart(found, weights(again))


def saved(kind: str) -> float:
    """How far what `from_pretrained` reads of the last checkpoint, and of the end, is from the model."""
    folder = shared_folder()
    run = trainer(kind, folder, **SAVING)
    run.train()
    run.save_model(f"{folder}/end")
    torch.distributed.barrier()
    found = weights(run)
    places = [f"{folder}/checkpoint-{STEPS}", f"{folder}/end"]
    loaded = [dict(MultiTaskModel.from_pretrained(place).named_parameters()) for place in places]
    return max(apart(found, {name: value.double() for name, value in one.items()}) for one in loaded)


def best(kind: str) -> float:
    """How far the model in the end is from the best checkpoint, which is the first: a score falls in any case."""
    folder, scores = shared_folder(), itertools.count(0, -1)
    options: dict[str, Any] = {"load_best_model_at_end": True, "metric_for_best_model": "topic_falls"}
    run = trainer(
        kind,
        folder,
        weighting="uw",
        compute_metrics=lambda found: {"falls": next(scores)},
        greater_is_better=True,
        **ADAM,
        **SAVING,
        **options,
    )
    run.train()
    assert run.state.best_model_checkpoint == f"{folder}/checkpoint-4", run.state.best_model_checkpoint
    kept = MultiTaskModel.from_pretrained(f"{folder}/checkpoint-4")
    found = {name: value for name, value in weights(run).items() if name != "s"}
    (logged,) = [logs["eval_loss"] for logs in run.state.log_history if "eval_loss" in logs and logs["step"] == 4]
    loss = abs(run.evaluate()["eval_loss"] - logged)
    return max(apart(found, {name: value.double() for name, value in kept.named_parameters()}), loss)


def trapped(kind: str) -> float:
    """How many files a pickle has made that lay where an optimizer's state was."""
    folder = shared_folder()
    trainer(kind, folder, **SAVING).train()
    checkpoint, made = Path(folder) / "checkpoint-4", Path(folder) / "made"
    if os.environ["RANK"] == "0":
        for file in checkpoint.rglob("*optim*.pt"):
            torch.save({"state": Trap(made)}, file)
        seal(checkpoint)
    torch.distributed.barrier()
    with pytest.raises(CheckpointError, match="cannot be read"):
        trainer(kind, folder, **SAVING).train(resume_from_checkpoint=str(checkpoint))
    return float(made.exists())


def unequal(kind: str) -> float:
    """How far predictions of rows that do not divide evenly are from those of DDP, in training and after it."""
    rows = {"topic": 7, "mood": 3, "score": 3}
    few = {**rows, "score": 1}  # of which one process has none
    options = {"per_device_eval_batch_size": 1, "eval_strategy": "steps", "eval_steps": 2}
    found = []
    for one in ("ddp", kind):
        run = trainer(one, evaluation=tiny.datasets(rows, seed=1), **options)
        run.train()
        found.append(run.predict(tiny.datasets(few, seed=2)).predictions)
    return max(float(abs(found[0][task] - found[1][task]).max()) for task in rows)


CASES: dict[str, Callable[[str], float]] = {
    **{name: lambda kind, options=options: as_ddp(kind, **options) for name, options in TRAINED.items()},
    "resume": resumed,
    "save": saved,
    "best": best,
    "trap": trapped,
    "unequal rows": unequal,
}


_NOT_WITH_ZERO = (
    *("a step lacks tasks", "bf16", "micro-batches of tokens", "tasks stop early"),
    *("adapters of tasks", "adapters of tasks, one row a process"),
)
OTHERWISE = {("deepspeed", case) for case in _NOT_WITH_ZERO}
"""Kinds and cases that end elsewhere, or are refused: ZeRO's one tensor of all parameters moves absent heads by their
momentum, its weights are themselves in half precision, and it counts on as many micro-batches in every step."""


def outcome(case: Callable[[str], float], kind: str) -> float | str:
    """What came of a case."""
    try:
        return case(kind)
    except Exception:
        return traceback.format_exc(limit=-6)


def main(kind: str, output: Path, *names: str) -> None:
    share_on_cpu()
    tempfile.tempdir = str(output.parent)
    found: dict[str, float | str] = {}
    for name in names or (name for name in CASES if (kind, name) not in OTHERWISE):
        found[name] = outcome(CASES[name], kind)
        if int(os.environ["RANK"]) == 0:
            output.write_text(json.dumps(found))
        if isinstance(found[name], str):  # the processes may have lost each other
            break
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
