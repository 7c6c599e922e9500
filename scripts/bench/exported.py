"""Rows per second of an exported graph and of torch, on the same batches of MiniLM with three heads.

Contenders take whole passes over the rows in turn; medians of the rates, and of the ratios within a turn.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from five_tasks import CLASSES, MAX_LENGTH, MINILM, five_tasks
from onnxruntime import InferenceSession, SessionOptions
from torch import Tensor
from transformers import AutoTokenizer, set_seed

from hf_mtl import MultiTaskModel, Regression, SequenceClassification, TokenClassification
from hf_mtl.inference.onnx_export import MODEL, export_onnx

Batch = dict[str, Tensor]
Run = Callable[[Batch], dict[str, np.ndarray]]


def batches_of(rows: int, size: int) -> tuple[list[Batch], str]:
    """Make batches of texts of similar length, as a server that sorts them would."""
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    tasks, source = five_tasks(tokenizer)
    texts = [text for name in CLASSES for text in tasks[name]["text"]][:rows]
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)
    order = sorted(range(len(texts)), key=lambda row: len(encoded["input_ids"][row]))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [
        dict(tokenizer.pad({key: [encoded[key][row] for row in part] for key in encoded}, return_tensors="pt"))
        for part in parts
    ], source


def of_torch(model: MultiTaskModel) -> Run:
    """Run the model itself."""

    @torch.inference_mode()
    def run(batch: Batch) -> dict[str, np.ndarray]:
        return {name: value.float().numpy() for name, value in model(**batch).logits.items()}

    return run


def of_graph(path: Path, threads: int) -> Run:
    """Run a graph."""
    options = SessionOptions()
    options.intra_op_num_threads = threads
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]

    def run(batch: Batch) -> dict[str, np.ndarray]:
        outputs = session.run(None, {name: value.numpy() for name, value in batch.items()})
        return dict(zip(names, outputs, strict=True))

    return run


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the largest difference of each task's outputs, of tags those that both have."""
    return {name: float(np.abs(one[name] - other[name]).max()) for name in one}


def main() -> None:
    """Print rates, sizes and differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    batches, source = batches_of(given.rows, given.batch)
    set_seed(0)
    heads = {
        "emotion": SequenceClassification(labels=["anger", "joy", "optimism", "sadness"]),
        "valence": Regression(label="v", standardize=False),
        "tags": TokenClassification(labels=["O", "B-X", "I-X"]),
    }
    model = MultiTaskModel.from_backbone(MINILM, heads, "linear", max_length=MAX_LENGTH).eval()
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()
    plain = export_onnx(model, folder / "float32")
    seconds = time.perf_counter() - begun
    small = export_onnx(model, folder / "int8", quantize="int8")
    contenders = {
        "torch float32": of_torch(model),
        "torch bfloat16": of_torch(_half(model)),
        "onnx float32": of_graph(folder / "float32" / MODEL, given.threads),
        "onnx int8": of_graph(folder / "int8" / MODEL, given.threads),
    }
    expected = contenders["torch float32"](batches[0])
    differences = {name: apart(run(batches[0]), expected) for name, run in contenders.items()}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(given.rounds):
        for name, run in contenders.items():
            begun = time.perf_counter()
            for batch in batches:
                run(batch)
            rates[name].append(given.rows / (time.perf_counter() - begun))
    print(f"{given.rows} rows of {source}, batches of {given.batch}, {given.threads} threads, {given.rounds} rounds")
    print(f"exported in {seconds:.0f} s; {plain.size / 1e6:.1f} MB, {small.size / 1e6:.1f} MB in int8\n")
    print("| contender | rows/s | by torch float32 | largest difference of outputs |\n|---|---|---|---|")
    for name, found in rates.items():
        ratios = [rate / first for rate, first in zip(found, rates["torch float32"], strict=True)]
        largest = ", ".join(f"{task} {value:.1g}" for task, value in differences[name].items())
        print(f"| {name} | {statistics.median(found):.0f} | {statistics.median(ratios):.2f} | {largest} |")


def _half(model: MultiTaskModel) -> MultiTaskModel:
    """Copy a model in bfloat16."""
    folder = tempfile.mkdtemp()
    model.save_pretrained(folder)
    found: MultiTaskModel = MultiTaskModel.from_pretrained(folder, dtype="bfloat16")
    return found.eval()


if __name__ == "__main__":
    main()
