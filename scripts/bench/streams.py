"""Time of a pass over texts with three label columns: drawn and encoded once as a stream, and once for each task.

The texts and their valence, arousal and dominance are EmoBank's where they lie beside the checkout, else made.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from datasets import Dataset
from five_tasks import MAX_LENGTH, MINILM, five_tasks
from transformers import AutoTokenizer

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, Regression

_FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "affecteval" / "emobank" / "train.parquet"
LABELS = ("V", "A", "D")


def texts(count: int) -> tuple[Dataset, str]:
    """Return rows with a text and three targets, and in words where they come from."""
    if _FILE.is_file():
        table = parquet.read_table(_FILE, columns=["text", *LABELS]).slice(0, count)
        return Dataset.from_dict({name: table[name].to_pylist() for name in table.column_names}), "EmoBank"
    found, words = five_tasks(AutoTokenizer.from_pretrained(MINILM))
    rows = [text for task in found.values() for text in task["text"]][:count]
    targets = np.random.default_rng(0).normal(size=(3, len(rows)))
    return Dataset.from_dict({"text": rows, **dict(zip(LABELS, targets.tolist(), strict=True))}), words


def seconds(rows: Dataset, stream: bool) -> tuple[float, int]:
    """Train one pass over all labels; return its time without what comes before, and its steps."""
    model = MultiTaskModel.from_backbone(
        str(MINILM), {name: Regression(label=name, stream=stream) for name in LABELS}, "linear", max_length=MAX_LENGTH
    )
    args = MultiTaskTrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=32,
        num_train_epochs=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = MultiTaskTrainer(
        model, args, train_dataset=dict.fromkeys(LABELS, rows), processing_class=AutoTokenizer.from_pretrained(MINILM)
    )
    begun = time.perf_counter()
    trainer.train()
    return time.perf_counter() - begun, trainer.state.global_step


def main() -> None:
    """Print the times of both, in turns, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows, words = texts(options.texts)
    seconds(rows.select(range(32)), stream=True)  # what is imported and allocated once
    ratios = []
    for _ in range(options.rounds):
        (together, few), (apart, many) = seconds(rows, stream=True), seconds(rows, stream=False)
        ratios.append(apart / together)
        print(f"stream: {together:.1f} s, {few} steps; three tasks: {apart:.1f} s, {many} steps", flush=True)
    print(
        f"{len(rows):,} texts ({words}), three labels each: three tasks take {statistics.median(ratios):.2f} times "
        f"as long as their stream [{min(ratios):.2f} to {max(ratios):.2f}]"
    )


if __name__ == "__main__":
    main()
