"""FSDP2 and ZeRO-2 of DeepSpeed train what DDP trains: on two processes, over gloo."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.sharding_worker import CASES, OTHERWISE

ROOT = Path(__file__).parents[2]
CLOSE = 1e-5
FAR = {"bf16": 2e-3}
"""Cases in which a sum in another order is rounded to half precision."""

KINDS = [
    "fsdp",
    pytest.param(
        "deepspeed",
        marks=pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="needs DeepSpeed"),
    ),
]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """What came of every case, all of them in one launch."""
    output = tmp_path_factory.mktemp("sharding") / "outcomes.json"
    worker = ROOT / "tests/training/sharding_worker.py"
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    subprocess.run(
        [*launch, worker, request.param, output],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        cwd=output.parent,
    )
    found: dict[str, float | str] = json.loads(output.read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", KINDS, indirect=True)
@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_model_end_where_whole_ones_do(
    request: pytest.FixtureRequest, outcomes: dict[str, float | str], case: str
) -> None:
    kind = request.node.callspec.params["outcomes"]
    if (kind, case) in OTHERWISE:
        pytest.skip("told in the log")
    found = outcomes.get(case, "never ended")
    assert isinstance(found, float), found
    assert found <= FAR.get(case, CLOSE)
