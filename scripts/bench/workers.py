"""Time per optimizer step with and without workers that collate ahead, in trainings that take turns.

Every training is whole: workers start in it, and end. The ratio of two neighbours in time is taken, and the median of
these ratios over the rounds is reported, as other programs on the machine slow both down.
"""

import argparse
import statistics
import tempfile
import time
from typing import Any

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, SequenceClassification

VOCABULARY = 1000
SIZES = {"large": 8000, "middle": 2000, "small": 500}


def rows(count: int, longest: int, seed: int) -> Dataset:
    """Make rows of 4 words to the longest, with labels of four classes."""
    random = np.random.default_rng(seed)
    words = [random.integers(1, VOCABULARY, random.integers(4, longest + 1)) for _ in range(count)]
    texts = [" ".join(map(str, row)) for row in words]
    return Dataset.from_dict({"text": texts, "label": random.integers(0, 4, count).tolist()})


def tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer whose words are numbers."""
    known = {"[PAD]": 0, **{str(number): number for number in range(1, VOCABULARY)}}
    words = Tokenizer(models.WordLevel(known, unk_token="[PAD]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[PAD]")


def train(options: argparse.Namespace, data: dict[str, Dataset], workers: int) -> float:
    """Train once; returns seconds per step."""
    config: dict[str, Any] = {
        "model_type": "bert",
        "vocab_size": VOCABULARY,
        "hidden_size": options.hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * options.hidden,
        "max_position_embeddings": options.longest,
    }
    tasks = {name: SequenceClassification(labels=list("abcd")) for name in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        args = MultiTaskTrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=options.rows,
            max_steps=options.steps,
            window_steps=options.window,
            dataloader_num_workers=workers,
            dataloader_multiprocessing_context=options.context if workers else None,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=options.cpu,
        )
        model = MultiTaskModel.from_backbone(config, tasks=tasks)
        trainer = MultiTaskTrainer(model, args, data, processing_class=tokenizer())
        begun = time.perf_counter()
        trainer.train()
        return (time.perf_counter() - begun) / options.steps


def main() -> None:
    """Print the time per step of each round, and the ratio of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--longest", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--context")
    parser.add_argument("--gpu", dest="cpu", action="store_false")
    options = parser.parse_args()
    data = {name: rows(count, options.longest, seed) for seed, (name, count) in enumerate(SIZES.items())}
    train(options, data, 0)  # to warm up
    ratios = []
    for number in range(options.rounds):
        order = (0, options.workers) if number % 2 else (options.workers, 0)
        seconds = {workers: train(options, data, workers) for workers in order}
        ratios.append(seconds[options.workers] / seconds[0])
        print(
            f"0 workers: {1000 * seconds[0]:6.2f} ms a step; {options.workers}: "
            f"{1000 * seconds[options.workers]:6.2f} ms; ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f} (below 1: workers are faster)")


if __name__ == "__main__":
    main()
