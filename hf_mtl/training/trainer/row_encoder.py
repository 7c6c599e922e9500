"""Splits of datasets become encoded rows, and encoded rows become batches, as one model takes them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from datasets import Dataset

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.batch import EncoderLayout
from hf_mtl.data.collate import Collator
from hf_mtl.data.rectangles import default_group_cost, default_run_cost
from hf_mtl.data.seen_rows import SeenRows
from hf_mtl.data.token_budget import BatchLimit, default_eval_tokens
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import check_token_ids, padding_id, row_limit
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)

Datasets: TypeAlias = Mapping[str, Dataset | EncodedSplit] | Dataset


class RowEncoder:
    """Checks and tokenises rows for a model.

    Args:
        model: The model.
        tokenizer: The tokenizer; None: rows come as tokens.
    """

    def __init__(self, model: MultiTaskModel, tokenizer: Any):
        self._model = model
        self._tokenizer = tokenizer
        self._limit = row_limit(model, tokenizer)
        self._settled: dict[EncoderLayout, EncoderLayout] = {}

    def encode(
        self, datasets: Datasets, tasks: Mapping[str, Task], split: str, seen: SeenRows | None = None
    ) -> dict[str, EncodedSplit]:
        """Encode one split of every task.

        Args:
            datasets: Datasets by task, or one Dataset where there is one task; encoded ones are taken as they are.
            tasks: The tasks.
            split: ``train``, ``validation`` or ``test``; for messages.
            seen: Takes the texts of the rows, to compare them; None: they are not compared.

        Raises:
            UserError: If rows cannot be used; the mistakes of all tasks at once.
        """
        encoded = encode_splits(datasets, tasks, self._tokenizer, self._limit, split, seen)
        check_token_ids(self._model, encoded, self._tokenizer, tasks)
        return encoded

    def collator(self, splits: Mapping[str, EncodedSplit], args: MultiTaskTrainingArguments) -> Collator:
        """Make what makes batches of some splits.

        Args:
            splits: The rows by task.
            args: The training arguments, which say how rows are grouped.
        """
        layout = self._layout(args)
        cost: int | None = default_group_cost(args.device) if args.group_cost is None else args.group_cost
        if layout != "groups":
            cost = default_run_cost(args.device) if layout == "packed" else None
        return Collator(splits, padding_id(self._model, self._tokenizer), cost, self._model.arrangement)

    def _layout(self, args: MultiTaskTrainingArguments) -> EncoderLayout:
        """Settle how rows reach the encoder.

        Where processes hold parts of the model, each call of a layer is a message to the others. All of them have to
        make as many, and groups are not as many on all: one rectangle is. The trial is made once, before there are
        parts, and before the model is on its device.
        """
        asked, precision = args.encoder_layout, _autocast_dtype(args)
        if not (args.fsdp or args.deepspeed):
            return self._model.settle_layout(asked, precision)
        if asked not in self._settled:
            layout = self._model.settle_layout(asked, precision, args.device)
            if layout == "groups":
                layout = self._model.settle_layout("padded", precision, args.device)
                logger.info("Length groups become one padded rectangle: processes with parts of a model take turns.")
            self._settled[asked] = layout
        return self._settled[asked]

    def train_limit(self, args: MultiTaskTrainingArguments) -> BatchLimit | None:
        """Tell how large micro-batches are in training; None: as many rows as the arguments say.

        Args:
            args: The training arguments.
        """
        tokens = args.tokens_per_micro_batch
        return None if tokens is None else BatchLimit(tokens, padded=self._pads(args))

    def eval_limit(self, args: MultiTaskTrainingArguments) -> BatchLimit:
        """Tell how large batches are at evaluation.

        Args:
            args: The training arguments; their rows are obeyed where they are given, with or without tokens.
        """
        rows, tokens = args.per_device_eval_batch_size, args.eval_tokens_per_batch
        if rows is None and tokens is None:
            tokens = default_eval_tokens(args.device)
        return BatchLimit(tokens, rows, padded=self._pads(args))

    def _pads(self, args: MultiTaskTrainingArguments) -> bool:
        return self._layout(args) != "packed"


def _autocast_dtype(args: MultiTaskTrainingArguments) -> torch.dtype | None:
    """Return the dtype of autocast; None: there is none."""
    if args.bf16:
        return torch.bfloat16
    return torch.float16 if args.fp16 else None
