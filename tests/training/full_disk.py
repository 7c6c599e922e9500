"""A disk that is full from some byte on, in processes of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import killing


def compiled(folder: Path) -> Path:
    """What has to be preloaded; skips the test where it cannot be built."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler (cc)")
    source, built = Path(__file__).with_suffix(".c"), folder / "full_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(source), "-ldl"], check=True)
    return built


def environment(built: Path, **more: str) -> dict[str, str]:
    """The environment of a process with such a disk."""
    own = {"LD_PRELOAD": str(built), "PYTHONPATH": str(killing.ROOT), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, **more}
