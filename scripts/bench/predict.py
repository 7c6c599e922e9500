"""Rate of predicting a file beside `Trainer.predict`, and peak memory by the number of rows.

The Trainer's time is that of `predict` alone, with its defaults: eight rows a batch, in their order, padded. That of
hf_mtl is the whole of it: reading csv, tokenising, the model, writing csv. Times are those of the processor, which
other programs on the machine change less than the clock.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from five_tasks import MAX_LENGTH, MINILM, five_tasks
from paced import peak_megabytes
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.inference.asked_chunks import FileOptions
from hf_mtl.inference.predict_file import predict_file

LABELS = ["anger", "joy", "optimism", "sadness"]
SIZES = (10_000, 1_000_000)
TINY = {
    "model_type": "bert",
    "vocab_size": 30_522,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
}


def texts(count: int) -> tuple[list[str], str]:
    """Return short texts, and in words where they come from."""
    found, words = five_tasks(AutoTokenizer.from_pretrained(MINILM))
    return list(islice(cycle([text for task in found.values() for text in task["text"]]), count)), words


def write_csv(place: Path, rows: list[str]) -> None:
    """Write texts as a file of one column beside their numbers."""
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(rows))


def of_trainer(rows: list[str]) -> float:
    """Return the seconds of `Trainer.predict`."""
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    model = AutoModelForSequenceClassification.from_pretrained(MINILM, num_labels=len(LABELS))
    encoded = Dataset.from_dict(dict(tokenizer(rows, truncation=True, max_length=MAX_LENGTH)))
    args = TrainingArguments(output_dir=tempfile.mkdtemp(), report_to="none", disable_tqdm=True, use_cpu=True)
    trainer = Trainer(model, args, data_collator=DataCollatorWithPadding(tokenizer), processing_class=tokenizer)
    trainer.predict(encoded.select(range(16)))  # what is imported and allocated once
    begun = time.process_time()
    trainer.predict(encoded)
    return time.process_time() - begun


def of_file(rows: list[str], tasks: int, folder: Path) -> float:
    """Return the seconds of predicting a file for so many tasks."""
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    named = {f"task_{number}": SequenceClassification(labels=LABELS) for number in range(tasks)}
    model = MultiTaskModel.from_backbone(str(MINILM), named, max_length=MAX_LENGTH)
    write_csv(folder / "rows.csv", rows)
    write_csv(folder / "few.csv", rows[:16])
    for name in ("few", "rows"):
        begun = time.process_time()
        place = str(folder / f"{name}.csv")
        predict_file(model, tokenizer, place, str(folder / "out.csv"), FileOptions(overwrite=True))
    return time.process_time() - begun


def rate(options: argparse.Namespace) -> None:
    """Print the rates of both, in turns, and their ratios."""
    rows, words = texts(options.rows)
    ratios: dict[int, list[float]] = {1: [], 5: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            base = of_trainer(rows)
            print(f"Trainer.predict, one task: {len(rows) / base:,.0f} rows for a second of a processor", flush=True)
            for tasks, found in ratios.items():
                seconds = of_file(rows, tasks, Path(folder))
                found.append(base / seconds)
                said = f"{len(rows) / seconds:,.0f}, {found[-1]:.2f} times the Trainer's"
                print(f"hf-mtl predict, {tasks} tasks: {said}", flush=True)
    for tasks, found in ratios.items():
        print(f"{tasks} tasks: {statistics.median(found):.2f} times Trainer.predict, {len(rows):,} texts ({words})")


def memory() -> None:
    """Print the peak memory of processes that predict few and many rows."""
    rows, words = texts(SIZES[0])
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = MultiTaskModel.from_backbone(TINY, {"emotion": SequenceClassification(labels=LABELS)}, max_length=64)
        model.save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        for size in SIZES:
            write_csv(folder / f"{size}.csv", many := list(islice(cycle(rows), size)))
            pq.write_table(pa.table({"id": range(size), "text": many}), folder / f"{size}.parquet")
        for kind in ("csv", "parquet"):
            peaks = [_peak(folder, f"{size}.{kind}") for size in SIZES]
            said = ", ".join(f"{size:,} rows {peak:,.0f} MB" for size, peak in zip(SIZES, peaks, strict=True))
            print(f"{kind}: {said}, {100 * (peaks[1] / peaks[0] - 1):+.1f}% ({words})", flush=True)


def _peak(folder: Path, name: str) -> float:
    """Return the peak memory of one process, in MB."""
    command = [
        sys.executable,
        __file__,
        "--alone",
        str(folder / "model"),
        str(folder / name),
        str(folder / f"o.{name}"),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def alone(model: str, source: str, output: str) -> None:
    """Predict a file, and print the peak memory of this process."""
    from hf_mtl.cli.main import main as command

    command(["predict", model, source, "-o", output])
    # getrusage would also know the peak of the process that started this one, which has all rows in memory.
    print(peak_megabytes())


def main() -> None:
    """Measure the rate, or the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", nargs=3, metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(*options.alone)
    elif options.memory:
        memory()
    else:
        rate(options)


if __name__ == "__main__":
    main()
