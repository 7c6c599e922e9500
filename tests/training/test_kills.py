"""Runs that signals end, in processes of their own: the agreement of several, their launcher and their workers."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hf_mtl.training.checkpoint import newest_whole
from tests.training import killing, kills
from tests.training.test_resume import assert_same_bits

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_ends_at_random_moments_change_nothing(tmp_path: Path) -> None:
    done = kills.end_often(tmp_path, kills=10, processes=2, seed=0)
    assert done.total() == 10


def wait_for(step: int, output: Path, process: subprocess.Popen[bytes]) -> None:
    while killing.last_record(output).get("step", 0) < step:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["ctrl-c", "terminate", "terminate one"])
def test_two_processes_stop_after_the_same_step_and_say_so_once(tmp_path: Path, how: str) -> None:
    recipe = killing.write_recipe(tmp_path, max_steps=200, eval_steps=50, save_steps=200)
    process = killing.start(recipe, tmp_path / "run", 2)
    wait_for(4, tmp_path / "run", process)
    killing.send(process, 2, how, random.Random(0))
    assert process.wait(timeout=60) == 1  # the launcher's own, whatever its workers' is
    found = newest_whole(tmp_path / "run")
    assert found is not None
    said, step = "SIGINT" if how == "ctrl-c" else "SIGTERM", found.name.split("-")[1]
    text = (tmp_path / "stderr.txt").read_text()
    assert text.count(f"Stopped by {said} after step {step} of 200") == 1
    assert "Go on launched as before, with: hf-mtl train" in text
    assert text.count("Traceback") == 1  # the launcher's
    if how == "terminate one":  # the worker that ends later may be ended by the launcher, which writes -15
        assert {"143"} <= set(re.findall(r"exitcode +: (-?\d+)", text)) <= {"143", "-15"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_leaves_the_workers_until_the_step_is_done(
    tmp_path: Path, sent: int, code: int
) -> None:
    recipe = killing.write_recipe(tmp_path, max_steps=20, dataloader_num_workers=2)
    killing.train(recipe, tmp_path / "reference", 1)
    process = killing.start(recipe, tmp_path / "run", 1)
    wait_for(7, tmp_path / "run", process)
    os.killpg(process.pid, sent)
    assert process.wait(timeout=60) == code
    text = (tmp_path / "stderr.txt").read_text()
    assert "Traceback" not in text
    assert "Stopped by" in text
    killing.train(recipe, tmp_path / "run", 1, "--resume")
    assert_same_bits(tmp_path / "run", tmp_path / "reference")
