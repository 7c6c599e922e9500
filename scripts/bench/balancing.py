"""Time per step and peak memory of every balancing method against equal weighting, and TorchJD's next to ours.

A few contenders at a time, each time with equal weighting.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from contenders import Contender, measure

from hf_mtl.balancing import available

WORKER = "balancing_worker.py"
AT_ONCE = 3  # beside equal weighting
NEEDED = {"fixed": {"weights": 1.0}, "ngdiff": {"signs": 1}}  # of each task
MAIN = {"pcd": 0}
VARIANTS: dict[str, dict[str, Any]] = {
    "ew, looks at every step": {"gradients": {"log_every": 1}},  # a hundred times the default
    "famo, reuse_next_batch": {"weighting": {"name": "famo", "reuse_next_batch": True}},
    "db_mtl, beta 0": {"aggregator": {"name": "db_mtl", "beta": 0.0}},
    "pcgrad, last_layer": {"aggregator": {"name": "pcgrad", "scope": "last_layer"}},
    "uw + pcgrad": {"weighting": "uw", "aggregator": "pcgrad"},
}
PEERS = ("pcd", "upgrad", "mgda", "pcgrad", "imtl_g", "aligned_mtl", "graddrop", "cagrad", "nash_mtl")


def balancing_of(name: str, tasks: int) -> dict[str, Any]:
    """Write a recipe's balancing section for a method, or a variant of one."""
    if name in VARIANTS:
        return VARIANTS[name]
    options: dict[str, Any] = {key: [value] * tasks for key, value in NEEDED.get(name, {}).items()}
    if name in MAIN:
        options["main"] = MAIN[name]
    return {available()[name]: {"name": name, **options}}


def ratio(contender: Contender, reference: Contender) -> float:
    """Return the median over the turns of a contender's time by the reference's."""
    return statistics.median(mine / theirs for mine, theirs in zip(contender.seconds, reference.seconds, strict=True))


def parts(contender: Contender, reference: Contender) -> dict[str, float]:
    """Return the medians of the parts of a contender's step, and of the rest, by the median of a reference step."""
    whole = statistics.median(reference.seconds)
    steps = [answer.get("parts", {}) for answer in contender.answers]
    found = {name: statistics.median(step[name] for step in steps) / whole for name in steps[0]}
    rest = statistics.median(contender.seconds) / whole - sum(found.values())
    return {name: round(value, 3) for name, value in {**found, "all else": rest}.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    everything = [name for name in available() if name not in ("ew", "cost")] + list(VARIANTS)
    parser.add_argument("--methods", nargs="*", default=everything)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8, help="of each task in a step")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--parts", action="store_true", help="also say what the time of a step goes into")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers", default=None, help="folder that has torchjd")
    parser.add_argument("--chunk", type=int, default=1, help="TorchJD's parallel_chunk_size; 0: its default")
    parser.add_argument("--results", type=Path, default=None, help="append the figures to this file, as JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        run(options, work)


def run(options: argparse.Namespace, work: str) -> None:
    """Run all rounds."""
    same = ["--tasks", str(options.tasks), "--rows", str(options.rows), "--work", work]
    same += ["--lora"] * options.lora + ["--parts"] * options.parts
    rounds: list[list[Contender]] = [[]]
    for name in options.methods:
        section = json.dumps(balancing_of(name, options.tasks))
        pair = [Contender(name, WORKER, [*same, "--balancing", section])]
        if name in PEERS and options.peers and not options.no_peers:
            chunk = ["--chunk", str(options.chunk)] * (options.chunk > 0)
            peer = [*same, "--torchjd", name, *chunk]
            pair.append(Contender(f"TorchJD {name}", WORKER, peer, {"PYTHONPATH": options.peers}))
        if len(rounds[-1]) + len(pair) > AT_ONCE:
            rounds.append([])
        rounds[-1] += pair  # a method and its peer take turns
    print(f"{options.tasks} tasks x {options.rows} rows{', LoRA' if options.lora else ''}; against equal weighting")
    print(f"{'method':24} {'time':>6} {'memory':>7}   of TorchJD's / ours")
    ours: dict[str, Contender] = {}
    for group in rounds:
        reference = Contender("ew", WORKER, [*same, "--balancing", "{}"])
        measure([reference, *group], options.steps)
        for contender in group:
            ours[contender.name] = contender
            record = {
                "method": contender.name,
                "tasks": options.tasks,
                "rows": options.rows,
                "lora": options.lora,
                "time": round(ratio(contender, reference), 3),
                "memory": round(contender.megabytes / reference.megabytes, 3),
                "more_megabytes": round(contender.megabytes - reference.megabytes),
                "ew_seconds": round(statistics.median(reference.seconds), 4),
                "ew_megabytes": round(reference.megabytes),
            }
            peer = contender.name.removeprefix("TorchJD ")
            if peer != contender.name:
                record["of_ours"] = round(ratio(contender, ours[peer]), 2)
            if options.parts:
                record["parts"] = parts(contender, reference)
            print(
                f"{contender.name:24} {record['time']:6.2f} {record['memory']:7.2f}   {record.get('of_ours', '')}"
                f"{record.get('parts', '')}",
                flush=True,
            )
            if options.results:
                with options.results.open("a") as file:
                    file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
