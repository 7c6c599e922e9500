"""Runs a recipe again and again on a disk that is full from another byte on each time, and resumes it with room.

Usage: full_disk_worker.py RECIPE FOLDER. Prints a line of JSON for each time. Needs the library of `full_disk`.
"""

import contextlib
import ctypes
import io
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_mtl.cli.main import main
from hf_mtl.training.checkpoint import newest_whole
from tests.training import runs
from tests.training.test_resume import log_without_times

UNLIMITED = -1
disk = ctypes.CDLL(None)


def limit(run: Path, room: int, trace: str = "") -> None:
    disk.full_disk(str(run).encode(), ctypes.c_longlong(room), trace.encode())


def train(recipe: Path, run: Path, *options: str) -> tuple[int | str, str]:
    """Exit code, and what was said on the side of errors; an exception by its name."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            code: int | str = main(["train", str(recipe), f"training.output_dir={run}", *options])
        except Exception as error:
            code = repr(error)
    return code, said.getvalue()


def points(trace: Path) -> Iterator[tuple[int, str]]:
    """Where each file, and each record of the log, begins and where its middle is, in bytes of the whole run."""
    lines = [line.split(" ", 1) for line in trace.read_text().splitlines()]
    writes = [(path, place if path.endswith(".jsonl") else 0, int(size)) for place, (size, path) in enumerate(lines)]
    written = 0
    for (path, _), together in itertools.groupby(writes, key=lambda write: write[:2]):
        size = sum(size for _, _, size in together)
        yield written, path
        if size > 1:
            yield written + size // 2, path
        written += size


def meet(recipe: Path, run: Path, reference: Path, room: int) -> dict[str, Any]:
    """What becomes of a run for which there is only some room, and of the same run with more."""
    shutil.rmtree(run, ignore_errors=True)
    limit(run, room)
    code, said = train(recipe, run)
    limit(run, UNLIMITED)
    whole = newest_whole(run)
    found = {"code": code, "said": said, "whole": whole and whole.name, "staging": (run / ".hf_mtl").exists()}
    found["resumed"], found["said_then"] = train(recipe, run, "--resume")
    if found["resumed"] == 0:
        runs.assert_same_bits(run, reference)
        assert log_without_times(run) == log_without_times(reference)
    return found


if __name__ == "__main__":
    recipe, folder = map(Path, sys.argv[1:])
    run, trace = folder / "run", folder / "trace"
    with runs.own_cache(folder):
        limit(run, UNLIMITED, str(trace))
        assert train(recipe, run)[0] == 0
        limit(run, UNLIMITED)
        shutil.copytree(run, folder / "reference")
        for room, path in points(trace):
            print(
                json.dumps({"room": room, "path": path, **meet(recipe, run, folder / "reference", room)}), flush=True
            )
