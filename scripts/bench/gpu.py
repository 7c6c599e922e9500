"""Everything that only a GPU can tell, section by section, each in a process of its own and within its time.

A section that fails, hangs or runs the device out of memory is a line of the table, and the others are measured.
"""

import argparse
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import gpu_sections as sections
import torch
from gpu_sections import Line
from gpu_world import TINY, Scale

ROOT = Path(__file__).resolve().parents[2]
AT_MOST = 470  # seconds: with the start of Python, eight minutes


class Section(NamedTuple):
    """A part of the check.

    Args:
        name: Its name.
        seconds: How long it may take.
        run: Measures, and yields lines of the table.
    """

    name: str
    seconds: float
    run: Callable[[Scale], Iterator[Line]]


class Done(NamedTuple):
    """A section that has ended.

    Args:
        section: Its name.
        lines: Its lines; the last one says what went wrong, if anything did.
        seconds: How long it took.
    """

    section: str
    lines: list[Line]
    seconds: float


def tests(scale: Scale) -> Iterator[Line]:
    """Run the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "-o", "addopts="]
    options: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    last = "nothing was said"
    with subprocess.Popen([*command, "tests/training/test_cuda.py"], **options) as process:
        assert process.stdout is not None
        for line in process.stdout:  # as they come: time may be up before the last one
            print(line, end="", flush=True)
            last = line.strip("= \n") or last
            if ended := re.match(r"\S+::(\S+) (FAILED|ERROR)", line):
                yield Line(ended[1], f"{ended[2].lower()}, see the log", wrong=True)
    yield Line("tests/training/test_cuda.py", last, wrong=process.returncode != 0)


def sharded(scale: Scale) -> Iterator[Line]:
    """Take steps of FSDP2 on every GPU that is there, and compare the weights with those of DDP."""
    count = 1 if scale.cpu else torch.cuda.device_count()
    for weighting in ("ew",) if scale.cpu else ("ew", "uw"):  # to see that it works, one will do
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
        worker = [str(Path(__file__).with_name("gpu_sharded.py")), weighting, *["--cpu"] * scale.cpu]
        done = subprocess.run([*command, *worker], cwd=ROOT, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        answers = [line for line in done.stdout.splitlines() if line.startswith('{"')]
        what = f"FSDP2, {weighting}, {count} process{'es' * (count > 1)}"
        if not answers:
            found = " ".join(done.stderr.strip().splitlines()[-1:]) or "nothing was said"
            yield Line(what, f"failed: {found[:160]}", wrong=True)
            continue
        answer = json.loads(answers[-1])
        yield Line(what, answer["found"], wrong=answer["wrong"])


SECTIONS = (
    Section("machine", 20, sections.machine),
    Section("tests", 90, tests),
    Section("training", 170, sections.training),
    Section("balancing", 40, sections.balancing),
    Section("waits", 40, sections.waits),
    Section("profile", 25, sections.profiled),
    Section("evaluation", 25, sections.evaluation),
    Section("torch.compile", 75, sections.compiled),
    Section("sharded", 60, sharded),
)


def measure(section: Section, scale: Scale, seconds: float, log: Path) -> Done:
    """Run a section in a process of its own, and kill that when its time is up.

    Args:
        section: The section.
        scale: How much is measured.
        seconds: How long it may take.
        log: Takes what the section prints.
    """
    begun, lines = time.monotonic(), []
    fork = multiprocessing.get_context("fork")  # what is imported, which takes seconds, is imported once
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_work, args=(section, scale, theirs, log))
    process.start()
    theirs.close()
    assert process.pid is not None
    try:
        while True:
            left = seconds - (time.monotonic() - begun)
            if left <= 0 or not ours.poll(left):
                lines.append(Line("(the rest)", f"not measured: the section had {seconds:.0f} s", wrong=True))
                break
            line = ours.recv()
            if line is None:
                break
            lines.append(line)
            print(f"{section.name}: {line.what}: {line.found}", flush=True)
    except EOFError:
        process.join(5)
        lines.append(Line("(the rest)", f"the process ended early, with {process.exitcode}", wrong=True))
    _end(process.pid)
    process.join()
    return Done(section.name, lines, time.monotonic() - begun)


def _work(section: Section, scale: Scale, pipe: Connection, log: Path) -> None:
    os.setsid()  # whatever it starts ends with it
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            for line in section.run(scale):
                pipe.send(line)
        except Exception as error:
            traceback.print_exc()
            pipe.send(Line("(the rest)", f"failed: {type(error).__name__}: {str(error)[:200]}", wrong=True))
        pipe.send(None)
    sys.stdout.flush()
    os._exit(0)  # without the handlers of the process that it is a copy of


def _end(pid: int) -> None:
    """End a process and all that it has started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def _folder_for_a_while() -> Iterator[None]:
    """Put what sections, and all that they start, write for a while into a folder that goes with them.

    A section that is killed removes nothing itself.
    """
    with (
        tempfile.TemporaryDirectory(prefix="check_gpu_", ignore_cleanup_errors=True) as folder,
        patch.object(tempfile, "tempdir", folder),
        patch.dict(os.environ, TMPDIR=folder),
    ):
        yield


def run(chosen: Sequence[Section], scale: Scale, seconds: float, log: Path) -> list[Done]:
    """Run sections one after the other, within a time for all."""
    end, found = time.monotonic() + seconds, []
    for section in chosen:
        left = end - time.monotonic()
        if left < 1:
            found.append(Done(section.name, [Line("(all)", "not measured: no time was left", wrong=True)], 0.0))
            continue
        found.append(measure(section, scale, min(section.seconds, left), log))
    return found


def table(found: Sequence[Done]) -> str:
    """Write the table, in Markdown."""
    rows = ["| section | what | found |", "|---|---|---|"]
    for done in found:
        first = f"{done.section} ({done.seconds:.0f} s)"
        for line in done.lines or [Line("", "nothing to measure")]:
            said = f"**{line.found}**" if line.wrong else line.found
            rows.append(f"| {first} | {line.what} | {said} |".replace("\n", " "))
            first = ""
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and say how many sections are not as they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [section.name for section in SECTIONS]
    parser.add_argument("--cpu", action="store_true", help="tiny sizes, to see that the program works")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SECTION", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=AT_MOST, help="for all sections")
    parser.add_argument("--results", type=Path, default=None, help="write the lines to this file, as JSON")
    options = parser.parse_args(arguments)
    if not options.cpu and not torch.cuda.is_available():
        print("There is no GPU here; --cpu shows that the program works.", file=sys.stderr)
        return 2
    scale = TINY if options.cpu else Scale()
    log = Path(tempfile.mkdtemp(prefix="check_gpu_")) / "log"
    print(f"What the sections print is in {log}", flush=True)
    chosen = [section for section in SECTIONS if section.name in options.only]
    with _folder_for_a_while():
        found = run(chosen, scale, options.seconds, log)
    wrong = [done.section for done in found if any(line.wrong for line in done.lines)]
    if options.results is not None:
        lines = [{"section": done.section, **line._asdict()} for done in found for line in done.lines]
        options.results.write_text(json.dumps(lines, indent=1) + "\n")
    print(f"\n{table(found)}\n")
    print(f"{len(found) - len(wrong)} of {len(found)} sections are as they must be.")
    if wrong:
        print(f"See {', '.join(wrong)} above, and {log}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
