"""A share of the mutated configs: none ends in anything but a model, a config or a message."""

import importlib.util
import random
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzzing" / "configs.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("fuzzed_configs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failures(folder: Path, count: int, seed: int) -> list[str]:
    """What went wrong with some inputs."""
    kind, found = load().inputs(folder), []
    for number in range(count):
        data, start = kind.draw(random.Random(f"{seed}/{number}")), time.perf_counter()
        try:
            with suppress(UserError):
                kind.attempt(data)
        except Exception:
            found.append(f"{number}: {data[:2000]!r}\n{traceback.format_exc(limit=-6)}")
        if time.perf_counter() - start > 5:
            found.append(f"{number}: {data[:2000]!r}\ntook longer than 5 s")
    assert " 0 refused" not in kind.summary()
    assert not kind.summary().startswith("0 taken")
    return found


def test_a_few_mutated_configs_end_well(tmp_path: Path) -> None:
    assert failures(tmp_path, count=25, seed=0) == []


@pytest.mark.slow
def test_mutated_configs_end_well(tmp_path: Path) -> None:
    assert failures(tmp_path, count=2000, seed=1) == []
