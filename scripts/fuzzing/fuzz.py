"""The fuzzer: tries very many mutated inputs of one kind in this process, and keeps those that are answered wrongly.

A kind is a module beside this one with `inputs(folder)`, which answers a `Kind`, named in `KINDS`.
"""

import argparse
import importlib
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kind import Kind
from watch import Failure, bound_memory, watched

KINDS = ("recipes", "configs")
_SHRINKING = 400  # attempts


def fuzz(kind: Kind, count: int, seed: int) -> Iterator[tuple[int, bytes, Failure]]:
    """Try inputs, each a function of the seed and its number; answer those that fail, the first of each failure.

    Args:
        kind: What to try.
        count: How many.
        seed: Seed of all of them.
    """
    seen: set[str] = set()
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        data = kind.draw(draw)
        failure = watched(kind.attempt, data)
        if failure is not None and failure.place not in seen:
            seen.add(failure.place)
            yield number, shrink(kind, data, failure), failure


def shrink(kind: Kind, data: bytes, failure: Failure) -> bytes:
    """Drop lines, first many at once, as long as the same failure is left."""
    lines, size, left = data.splitlines(keepends=True), len(data.splitlines()) // 2, _SHRINKING
    while size >= 1 and not failure.is_slow:
        start = 0
        while start < len(lines) and left > 0:
            fewer, left = lines[:start] + lines[start + size :], left - 1
            found = watched(kind.attempt, b"".join(fewer))
            if found is not None and found.place == failure.place:
                lines = fewer
            else:
                start += size
        size //= 2
    return b"".join(lines)


def load_kind(name: str, folder: Path) -> Kind:
    """Return the kind of inputs that is called so.

    Args:
        name: One of `KINDS`.
        folder: Empty, for files that its attempts need.
    """
    kind: Kind = importlib.import_module(name).inputs(folder)
    return kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, help="default: as many as the kind says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("runs/fuzz"))
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        kind = load_kind(arguments.kind, Path(folder))
        count = kind.count if arguments.count is None else arguments.count
        bound_memory()  # once the libraries are there
        for number, data, failure in fuzz(kind, count, arguments.seed):
            failures += 1
            arguments.failures.mkdir(parents=True, exist_ok=True)
            file = arguments.failures / f"{arguments.kind}-{arguments.seed}-{number}"
            file.write_bytes(data)
            print(f"{file}: {failure.place}\n{failure.text}", flush=True)
    print(f"{count:,} {arguments.kind}, {failures} kinds of failure. {kind.summary()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
