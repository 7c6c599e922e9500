"""One contender of scripts/bench_training: a step for every line on stdin; its seconds and tokens on stdout."""

import argparse
import sys
from typing import Any

import torch
from datasets import DatasetDict, concatenate_datasets
from five_tasks import CLASSES, MAX_LENGTH, MINILM, five_tasks, tokenized
from paced import peak_megabytes, say, train_paced
from plain_trainer import PlainTrainer
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, SequenceClassification

STEPS = 10_000  # more than anyone waits for


class Tokens:
    """Counts what reaches an encoder: places of its rectangles, or of its one long row, and the tokens among them."""

    def __init__(self, model: nn.Module) -> None:
        self.places = self.tokens = 0
        for module in model.modules():
            if isinstance(module, BertModel):
                module.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids, mask = kwargs.get("input_ids", args[0] if args else None), kwargs.get("attention_mask")
        assert ids is not None
        self.places += ids.numel()
        self.tokens += ids.numel() if mask is None else int(mask.sum())

    def taken(self) -> dict[str, int]:
        """Return the counts, and begin anew."""
        found = {"tokens": self.tokens, "places": self.places}
        self.places = self.tokens = 0
        return found


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the training arguments that all contenders have."""
    return {
        "output_dir": options.work,
        "max_steps": STEPS,
        "per_device_train_batch_size": options.batch,
        "bf16": options.bf16,
        "use_cpu": True,
        "logging_steps": STEPS,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def plain_trainer(options: argparse.Namespace, tokenizer: Any) -> Trainer:
    """Train one classifier on the rows of all tasks, as if they were one."""
    rows, _ = five_tasks(tokenizer)
    joined = concatenate_datasets([tokenized(one, tokenizer) for one in rows.values()])
    strategy = {"train_sampling_strategy": "group_by_length"} if options.contender == "grouped" else {}
    return PlainTrainer(
        AutoModelForSequenceClassification.from_pretrained(MINILM, num_labels=max(CLASSES.values())),
        TrainingArguments(**arguments_of(options), **strategy),
        DataCollatorWithPadding(tokenizer),
        joined,
    )


def our_trainer(options: argparse.Namespace, tokenizer: Any) -> Trainer:
    """Train a head for each task, rows drawn by the tasks' sizes."""
    rows, _ = five_tasks(tokenizer)
    tasks = {name: SequenceClassification(labels=[str(i) for i in range(n)]) for name, n in CLASSES.items()}
    model = MultiTaskModel.from_backbone(str(MINILM), tasks, max_length=MAX_LENGTH)
    args = MultiTaskTrainingArguments(**arguments_of(options), encoder_layout=options.layout)
    mixture = {"temperature": "proportional"}
    return MultiTaskTrainer(model, args, rows, processing_class=tokenizer, mixture=mixture)


def tasknet_trainer(options: argparse.Namespace, tokenizer: Any) -> Trainer:
    """Train tasknet's model of these tasks with its defaults."""
    import evaluate

    evaluate.load = lambda *args, **kwargs: None  # tasknet, imported, loads metrics of the Hub that nobody uses here
    import tasknet

    rows, _ = five_tasks(tokenizer)
    tasks = []
    for name, train in rows.items():
        few = train.select(range(8))
        splits = DatasetDict(train=train, validation=few, test=few)
        tasks.append(tasknet.Classification(splits, name=name, s1="text", y="label", num_labels=CLASSES[name]))
    hyper = {**arguments_of(options), "model_name": str(MINILM), "max_length": MAX_LENGTH}
    return tasknet.Model_Trainer(tasks, hyper)[1]


def main() -> None:
    """Be a contender until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=["trainer", "grouped", "hf_mtl", "tasknet"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--layout", default="auto", help="encoder_layout of hf_mtl")
    options = parser.parse_args()
    sys.stdout = sys.stderr
    torch.set_num_interop_threads(1)
    logging.set_verbosity_error()
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    makers = {"hf_mtl": our_trainer, "tasknet": tasknet_trainer}
    trainer = makers.get(options.contender, plain_trainer)(options, tokenizer)
    assert isinstance(trainer.model, nn.Module)
    train_paced(trainer, Tokens(trainer.model).taken)
    say({"megabytes": peak_megabytes()})


if __name__ == "__main__":
    main()
