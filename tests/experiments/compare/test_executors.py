import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.compare.executors import printed, refuse_slurm, submit
from hf_mtl.experiments.workers import worker_command


def test_commands_are_printed_for_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "my folder"
    here.mkdir()
    monkeypatch.chdir(here)
    worker = worker_command("compare", "my study.yaml", ["seeds=1", "arms.uw={}"], True, python="python")
    line, other, said, answer = printed(worker, 2).splitlines()
    assert line == other
    assert said.startswith("# ")
    assert shlex.split(answer) == ["#", *shlex.split(line)[:-1]]
    assert shlex.split(line) == [
        *("cd", str(here), "&&"),
        *("python", "-m", "hf_mtl", "compare", "my study.yaml"),
        *("seeds=1", "arms.uw={}", "--allow-code", "--no-report"),
    ]


def test_slurm_gets_a_job_for_each_worker(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="the extra [slurm] is not installed")
    program = f"import pathlib, os; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()"
    jobs = submit([sys.executable, "-c", program], 2, tmp_path / "jobs", {"timeout_min": 1}, cluster="local")
    for job in jobs:
        job.result()
    assert sum(path.name.isdigit() for path in tmp_path.iterdir()) == 2


def test_without_slurm_or_submitit_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--executor"):
        refuse_slurm({}, to_be_used=True)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match="slurm needs submitit, which is not installed"):
        refuse_slurm({}, to_be_used=True)
    refuse_slurm({"nope": 1}, to_be_used=False)


@pytest.mark.parametrize("options", [{"nope": 1}, {"slurm_nope": 1}, {"timeout_min": "long"}])
def test_options_that_submitit_does_not_know_are_refused_wherever_workers_run(options: dict[str, Any]) -> None:
    pytest.importorskip("submitit", reason="the extra [slurm] is not installed")
    with pytest.raises(UserError, match="^study.yaml:7: slurm: .*(nope|timeout_min)"):
        refuse_slurm(options, to_be_used=False, where="study.yaml:7")
    refuse_slurm({"slurm_partition": "gpu", "timeout_min": 60}, to_be_used=False)
