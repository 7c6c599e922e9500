"""Models with random weights, rows of made-up tokens, and trainers of both kinds, for scripts/check_gpu."""

import copy
import gc
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from datasets import Dataset
from plain_trainer import PlainTrainer
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, SequenceClassification
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.modeling import encoder_layout

CLASSES = 3
PAD = 0
SHAPES: dict[str, tuple[int, int, int]] = {  # layers, heads, width: of models that everybody knows
    "MiniLM-L6": (6, 12, 384),
    "BERT-base": (12, 12, 768),
    "tiny": (2, 2, 16),
}


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Args:
        models: Names of `SHAPES`, small ones first.
        batches: Rows of a step.
        warm_up: Steps that are not measured.
        steps: Steps that are.
        rows: Training rows of a task.
        vocabulary: Token ids.
        cpu: Whether to leave a GPU alone.
    """

    models: tuple[str, ...] = ("MiniLM-L6", "BERT-base")
    batches: tuple[int, ...] = (32, 64, 256)
    warm_up: int = 6
    steps: int = 20
    rows: int = 4000
    vocabulary: int = 30_522
    cpu: bool = False


TINY = Scale(("tiny",), (8,), warm_up=1, steps=2, rows=60, vocabulary=100, cpu=True)


@dataclass(frozen=True)
class Setting:
    """A training to measure.

    Args:
        model: A name of `SHAPES`.
        batch: Rows of a step.
        tasks: Number of tasks.
        layout: ``encoder_layout``; None: the Trainer of transformers, with batches of one length each.
        attention_dropout: Of the encoder; kernels for packed rows do not all take any.
        attention: The encoder's attention, such as ``sdpa``.
        kernels: Whether packed rows may attend by other kernels than SDPA.
        balancing: The section of that name.
        arguments: More training arguments, such as ``{"bf16": True}``.
    """

    model: str
    batch: int
    tasks: int = 4
    layout: str | None = "auto"
    attention_dropout: float = 0.1
    attention: str = "sdpa"
    kernels: bool = True
    balancing: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


def config_of(name: str, vocabulary: int, attention_dropout: float) -> dict[str, Any]:
    """Return the config of a BERT of a known size."""
    layers, heads, width = SHAPES[name]
    return {
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "attention_probs_dropout_prob": attention_dropout,
        "pad_token_id": PAD,
    }


def split(rows: int, vocabulary: int, seed: int) -> EncodedSplit:
    """Make rows as long as tweets, whose longest of 32 is more than twice the mean."""
    draws = np.random.default_rng(seed)
    lengths = np.clip(draws.lognormal(3.1, 0.45, rows), 4, 120).astype(np.int64)
    ids = draws.integers(1, vocabulary, int(lengths.sum())).astype(np.int32)
    tokens = TokenStore(ids, np.concatenate([[0], np.cumsum(lengths)]), np.zeros(rows, dtype=bool))
    return EncodedSplit(tokens, draws.integers(0, CLASSES, rows))


def splits(tasks: int, scale: Scale, seed: int = 0) -> dict[str, EncodedSplit]:
    """Make rows for every task."""
    return {f"task{index}": split(scale.rows, scale.vocabulary, 100 * seed + index) for index in range(tasks)}


def joined(rows: Mapping[str, EncodedSplit]) -> Dataset:
    """Return the rows of all tasks as one dataset of one task."""
    ids = [
        one.tokens.flat_ids[start:stop].tolist()
        for one in rows.values()
        for start, stop in zip(one.tokens.offsets[:-1], one.tokens.offsets[1:], strict=True)
    ]
    labels = np.concatenate([one.labels for one in rows.values()]).tolist()
    return Dataset.from_dict({"input_ids": ids, "labels": labels, "length": [len(row) for row in ids]})


def padded(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Collate as transformers does: one rectangle."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), PAD)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[place, : len(row["input_ids"])] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}


def arguments_of(setting: Setting, scale: Scale) -> dict[str, Any]:
    """Return the training arguments that both trainers have."""
    return {
        "output_dir": tempfile.mkdtemp(prefix="check_gpu_"),
        "max_steps": scale.warm_up + scale.steps,
        "per_device_train_batch_size": setting.batch,
        "logging_steps": 10_000,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": scale.cpu,
        **setting.arguments,
    }


@lru_cache(maxsize=2)
def _fresh(name: str, tasks: int, vocabulary: int, attention_dropout: float, attention: str) -> MultiTaskModel:
    set_seed(0)
    known = {f"task{index}": SequenceClassification(labels=CLASSES) for index in range(tasks)}
    config = config_of(name, vocabulary, attention_dropout)
    return MultiTaskModel.from_backbone(config, known, attn_implementation=attention)


def our_trainer(setting: Setting, scale: Scale, rows: Mapping[str, EncodedSplit]) -> MultiTaskTrainer:
    """Train a head for each task."""
    made = _fresh(setting.model, setting.tasks, scale.vocabulary, setting.attention_dropout, setting.attention)
    model = copy.deepcopy(made)
    arguments = {**arguments_of(setting, scale), "encoder_layout": setting.layout}
    # The log's cosines are not what is measured.
    balancing = {"gradients": {"log_every": 0}, **setting.balancing}
    return MultiTaskTrainer(
        model, MultiTaskTrainingArguments(**arguments), dict(rows), dict(rows), balancing=balancing
    )


def plain_trainer(setting: Setting, scale: Scale, rows: Mapping[str, EncodedSplit]) -> Trainer:
    """Train one classifier on the rows of all tasks, as if they were one."""
    options = config_of(setting.model, scale.vocabulary, setting.attention_dropout)
    config = AutoConfig.for_model(options.pop("model_type"), **options, num_labels=CLASSES)
    set_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    arguments = {**arguments_of(setting, scale), "train_sampling_strategy": "group_by_length"}
    everything = joined(rows)
    return PlainTrainer(model, TrainingArguments(**arguments), padded, everything, everything)


def trainer_of(setting: Setting, scale: Scale) -> Trainer:
    """Make the trainer of a setting."""
    rows = splits(setting.tasks, scale)
    return (plain_trainer if setting.layout is None else our_trainer)(setting, scale, rows)


def wait(scale: Scale) -> None:
    """Wait for the device."""
    if not scale.cpu:
        torch.cuda.synchronize()


class Clock(TrainerCallback):
    """Measures the steps after those that warm up, in one piece, so that the host may run ahead.

    Args:
        scale: How many steps there are.
        rows: Rows of a step.
    """

    def __init__(self, scale: Scale, rows: int):
        self._scale = scale
        self._rows = rows
        self.reason = ""  # for the layout of the rows
        self._begun = self.seconds = self.megabytes = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start after the warm-up."""
        if state.global_step == self._scale.warm_up:
            wait(self._scale)
            if not self._scale.cpu:
                torch.cuda.reset_peak_memory_stats()
            self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop after the last step."""
        if state.global_step < self._scale.warm_up + self._scale.steps:
            return
        wait(self._scale)
        self.seconds = time.perf_counter() - self._begun
        if not self._scale.cpu:
            self.megabytes = torch.cuda.max_memory_allocated() / 2**20

    @property
    def rate(self) -> float:
        """Examples per second."""
        return self._scale.steps * self._rows / self.seconds


def measured(setting: Setting, scale: Scale) -> Clock:
    """Train, and measure."""
    gc.collect()  # a trainer and its parts know each other, and the one before would keep its memory
    clock, none = Clock(scale, setting.batch), patch.object(encoder_layout, "candidates", lambda own: [], create=True)
    with nullcontext() if setting.kernels else none:
        trainer = trainer_of(setting, scale)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        trainer.train()
    clock.reason = getattr(trainer.model, "layout_reason", "")
    return clock
