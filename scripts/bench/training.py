"""Tokens per second and peak memory of training: hf_mtl, `transformers.Trainer`, tasknet, same model, same data.

Contenders are processes that take single steps in turn. A ratio is that of the real tokens per second that went
through the encoder, to those of Trainer with its defaults in float32 in the same turn; medians over the turns, with
the quartiles. Trainer sees the rows of all tasks as one task, since it knows no other; 58% of its places are padding.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contenders import Contender, measure

# What each contender adds to a worker's arguments.
KINDS = {
    "Trainer": ["trainer"],
    "Trainer, group_by_length": ["grouped"],
    "tasknet": ["tasknet"],
    "hf_mtl": ["hf_mtl"],
    "hf_mtl, groups": ["hf_mtl", "--layout", "groups"],
    "hf_mtl, padded": ["hf_mtl", "--layout", "padded"],
}


def speed(contender: Contender) -> list[float]:
    """Return the real tokens per second of each step."""
    found = zip(contender.answers, contender.seconds, strict=True)
    return [answer["tokens"] / seconds for answer, seconds in found]


def record_of(contender: Contender, reference: Contender) -> dict[str, Any]:
    """Return what is said of a contender."""
    ratios = [mine / theirs for mine, theirs in zip(speed(contender), speed(reference), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    tokens, places = (sum(answer[key] for answer in contender.answers) for key in ("tokens", "places"))
    return {
        "contender": contender.name,
        "ratio": round(middle, 2),
        "quartiles": [round(low, 2), round(high, 2)],
        "padding": round(1 - tokens / places, 3),
        "tokens_per_second": round(statistics.median(speed(contender))),
        "megabytes": round(contender.megabytes),
        "memory": round(contender.megabytes / reference.megabytes, 2),
    }


def contenders_of(options: argparse.Namespace, dtype: str, batch: int, threads: int, work: str) -> list[Contender]:
    """Return the contenders of a round, the reference first."""
    found = []
    for name, dtypes in [("Trainer", "fp32"), *((name, dtype) for name in options.contenders)]:
        arguments = [*KINDS[name], "--batch", str(batch), "--work", work, *["--bf16"] * (dtypes == "bf16")]
        environment = {"OMP_NUM_THREADS": str(threads)}
        if name == "tasknet":
            environment["PYTHONPATH"] = os.pathsep.join([options.tasknet, os.environ.get("PYTHONPATH", "")])
        label = f"{name}, bf16" if dtypes == "bf16" else name
        if label not in [one.name for one in found]:
            found.append(Contender(label, "training_worker.py", arguments, environment))
    return found


def compare(options: argparse.Namespace, dtype: str, batch: int, threads: int, work: str) -> None:
    """Measure one round, and print its table."""
    busy = os.getloadavg()[0]
    contenders = contenders_of(options, dtype, batch, threads, work)
    measure(contenders, options.steps)
    print(f"\n{dtype}, batch {batch}, {threads} thread(s), {options.steps} steps; load before: {busy:.1f}\n")
    print("| contender | tokens/s, ratio | quartiles | padding | memory, MB | ratio |\n|---|---|---|---|---|---|")
    for contender in contenders:
        found = record_of(contender, contenders[0])
        low, high = found["quartiles"]
        print(
            f"| {contender.name} | {found['ratio']:.2f} | {low:.2f} to {high:.2f} | {100 * found['padding']:.0f}% "
            f"| {found['megabytes']} | {found['memory']:.2f} |",
            flush=True,
        )
        if options.results:
            setting = {"dtype": dtype, "batch": batch, "threads": threads, "steps": options.steps, "load": busy}
            with options.results.open("a") as file:
                file.write(json.dumps({**setting, **found}) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contenders", nargs="+", choices=list(KINDS), default=list(KINDS)[:4])
    parser.add_argument("--dtype", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--batch", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tasknet", default=None, help="folder that has tasknet")
    parser.add_argument("--results", type=Path, default=None, help="append the figures to this file, as JSON lines")
    options = parser.parse_args(arguments)
    if options.tasknet is None and "tasknet" in options.contenders:
        print("tasknet is skipped: --tasknet names no folder that has it.")
        options.contenders.remove("tasknet")
    with tempfile.TemporaryDirectory() as work:
        for threads in options.threads:
            for batch in options.batch:
                for dtype in options.dtype:
                    compare(options, dtype, batch, threads, work)


if __name__ == "__main__":
    main()
