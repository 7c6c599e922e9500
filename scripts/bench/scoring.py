"""Peak memory and time of scoring many rows of a task with many classes, on each process.

Start it with torchrun for several processes. The model is small: what is measured is what is kept of its outputs.
"""

import argparse
import resource
import tempfile
import time
from typing import Any

import numpy as np
from transformers import set_seed

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, SequenceClassification
from hf_mtl.data.tokens import EncodedSplit, TokenStore


def split(rows: int, classes: int) -> EncodedSplit:
    """Make rows of three tokens with labels."""
    random = np.random.default_rng(0)
    ids = random.integers(1, 50, 3 * rows).astype(np.int32)
    tokens = TokenStore(ids, np.arange(0, 3 * rows + 1, 3), np.zeros(rows, dtype=bool))
    return EncodedSplit(tokens, random.integers(0, classes, rows))


def megabytes() -> float:
    """Return the peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print what scoring takes on each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--classes", type=int, default=300)
    parser.add_argument("--metrics", nargs="+", default=["f1_macro", "accuracy"])
    parser.add_argument("--own", action="store_true", help="compute_metrics of the user's too")
    parser.add_argument("--do", choices=["evaluate", "predict", "calibrate"], default="evaluate")
    options = parser.parse_args()
    config: dict[str, Any] = {
        "model_type": "bert",
        "vocab_size": 50,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "max_position_embeddings": 4,
    }
    names = [f"c{number}" for number in range(options.classes)]
    task = SequenceClassification(labels=names, metrics=options.metrics)
    args = MultiTaskTrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_eval_batch_size=1000,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    set_seed(0)
    trainer = MultiTaskTrainer(
        MultiTaskModel.from_backbone(config, tasks={"many": task}),
        args,
        compute_metrics=(lambda found: {"own": float(np.mean(found.predictions[:, 0]))}) if options.own else None,
    )
    getattr(trainer, options.do)({"many": split(100, options.classes)})  # what is imported and allocated once
    rows = split(options.rows, options.classes)
    before, begun = megabytes(), time.perf_counter()
    found = getattr(trainer, options.do)({"many": rows})
    seconds = time.perf_counter() - begun
    kept = {key: value for key, value in getattr(found, "metrics", found).items() if "per_second" not in key}
    print(
        f"process {trainer.processes.rank}: {before:,.0f} MB before, {megabytes():,.0f} MB at the peak, "
        f"{seconds:.0f} s; {kept}",
        flush=True,
    )


if __name__ == "__main__":
    main()
