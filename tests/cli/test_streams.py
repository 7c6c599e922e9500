"""Standard streams that are closed, broken, full or poor in letters end no command."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.cli import streams
from hf_mtl.cli.main import main
from tests.training import runs

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs bash and /dev/full, of Linux")
ROOT = Path(__file__).parents[2]
# Bars, logs, warnings and prints, more than a buffer or a pipe holds.
PROGRAM = """
import sys
from hf_mtl.cli import streams
streams.protect()
import logging, os, warnings
logging.basicConfig(stream=sys.stderr)
for _ in range(2000):
    print("émotion 情感 \\udcff" + "x" * 100)
    logging.warning("émotion 情感" + "x" * 100)
print("flushed", flush=True)
warnings.warn("a warning")
os.write(1, b"from C") if "quiet" not in sys.argv else None
for number in (0, 1, 2):
    os.fstat(number)
file = open(sys.argv[1], "w")
assert file.fileno() > 2, file.fileno()
file.write("reached the end")
"""


def say(*words: str) -> str:
    return " ".join([sys.executable, *words])


def bash(line: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line; its first command's exit code is that of the line."""
    return subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=300,
        check=False,
    )


BROKEN = ("| head -1", "| true", "2>&1 | true", ">&-", "2>&-", "<&- >&- 2>&-")
FULL = ("> /dev/full", "2> /dev/full", "&> /dev/full")


@pytest.mark.parametrize("python", ["", "-u"])
@pytest.mark.parametrize("where", BROKEN + FULL)
def test_what_cannot_be_printed_ends_nothing(tmp_path: Path, where: str, python: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = bash(f"{say(python, 'program.py', 'end', 'quiet')} {where}", tmp_path)
    assert done.returncode == 0, done.stderr[-500:]
    assert "Exception ignored" not in done.stderr
    assert (tmp_path / "end").read_text() == "reached the end"


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1", "utf-8"])
def test_letters_that_a_stream_lacks_are_spelled_out(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = bash(say("program.py", "end"), tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr[-500:]
    first = {"utf-8": r"émotion 情感 \udcff", "latin-1": "\udce9motion \\u60c5\\u611f \\udcff"}
    assert done.stdout.startswith(first.get(encoding, r"\xe9motion \u60c5\u611f \udcff") + "x" * 100)
    assert done.stdout.count("\n") == 2001


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """A pipe: where to read, where to write."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_a_pipe_that_does_not_block_is_waited_for(pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    found = b""

    def read() -> None:
        nonlocal found
        time.sleep(0.1)
        while len(found) < 300_000:
            found += os.read(pipe[0], 10_000)

    reader = threading.Thread(target=read)
    reader.start()
    file = streams.LossyFile(pipe[1], "w", closefd=False)
    text = bytes(range(256)) * 2000
    sent = 0
    while sent < 300_000:
        sent += file.write(text[sent:300_000])
    reader.join()
    assert found == text[:300_000]
    assert file.error is None


def test_a_file_remembers_why_it_dropped_the_first_write() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    file = streams.LossyFile(full, "w")
    assert file.write(b"lost") == 4
    assert file.write(memoryview(b"again")) == 5
    assert file.error is not None
    assert file.error.errno == errno.ENOSPC
    file.close()


def test_streams_that_somebody_put_in_place_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    streams.protect()
    assert (sys.stdout, sys.stderr) == before
    streams.check_output()


class Full:
    """What is left of standard output on a full disk."""

    def __init__(self) -> None:
        self.buffer = streams.LossyFile(os.open("/dev/full", os.O_WRONLY), "w")

    def write(self, text: str) -> int:
        return self.buffer.write(text.encode())

    def flush(self) -> None:
        pass


def test_a_command_that_only_prints_fails_where_that_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["methods", "uw"]) == 1
    lost = "standard output cannot be written (No space left on device); what was printed is not complete"
    assert capsys.readouterr().err == f"hf-mtl methods: {lost}\n"


# ---- A whole training ----

WHERES = ["| head -1", ">&-", "2>&-", "2>&1 | true", "> /dev/full", "&> /dev/full"]


@pytest.mark.slow
@pytest.mark.parametrize("tqdm", ["true", "false"])
def test_a_training_that_nobody_reads_is_kept(tmp_path: Path, tqdm: str) -> None:
    recipe = runs.write_recipe(tmp_path / "émotion", max_steps=4, eval_steps=2, save_steps=2)
    for place, where in enumerate(WHERES):
        run = tmp_path / f"run{place}"
        words = f"train {recipe} training.output_dir={run} training.disable_tqdm={tqdm}"
        done = bash(f"{say('-m', 'hf_mtl', words)} {where}", tmp_path, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, (where, done.stderr[-2000:])
        assert "Exception ignored" not in done.stderr
        assert runs.results(run)["step"] == 4
        assert (run / "figures" / "training.png").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_on_when_nobody_reads(tmp_path: Path) -> None:
    recipe = runs.write_recipe(tmp_path / "world", max_steps=4, eval_steps=2, save_steps=2)
    launch = say("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "hf_mtl")
    for place, where in enumerate(["| head -1", "2>&1 | true", "&> /dev/full"]):
        run = tmp_path / f"run{place}"
        words = f"train {recipe} training.output_dir={run} training.disable_tqdm=false"
        done = bash(f"{launch} {words} {where}", tmp_path, OMP_NUM_THREADS="1")
        assert done.returncode == 0, (where, done.stderr[-2000:])
        assert runs.results(run)["step"] == 4
