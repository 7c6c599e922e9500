"""A run that meets a full disk ends with one message, keeps its last checkpoint, and goes on when there is room."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_mtl.cli.main import main
from hf_mtl.inference import manifest
from hf_mtl.reporting import json_files
from hf_mtl.training import checkpoint
from tests.training import full_disk, killing, runs
from tests.training.test_resume import assert_same_bits, log_without_times


@pytest.mark.slow
def test_a_log_that_cannot_be_written_ends_the_run_and_loses_no_line(
    recipe: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    class Full(json_files.FileIO):
        """Takes the first half of the record of step 7."""

        def write(self, data: bytes) -> int:
            if data.startswith(b'{"step": 7'):
                super().write(data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(json_files, "open", lambda path, mode, buffering: Full(path, mode), raising=False)
    assert main(["train", str(recipe), f"training.output_dir={run}"]) == 1
    assert re.search(
        rf"^hf-mtl train: cannot write {run}/log.jsonl: No space left on device \(.* free\). Make room there. "
        rf"The last checkpoint is whole: {run}/checkpoint-5 \(step 5\); resume from it.$",
        capsys.readouterr().err,
        re.MULTILINE,
    )
    assert [record["step"] for record in runs.log(run) if "loss" in record] == [1, 2, 3, 4, 5, 6]
    monkeypatch.undo()
    runs.train(recipe, run, resume=True)
    runs.assert_same_bits(run, world / "run")
    assert log_without_times(run) == log_without_times(world / "run")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_write_of_a_run_may_meet_a_full_disk(tmp_path: Path) -> None:
    built = full_disk.compiled(tmp_path)
    recipe = runs.write_recipe(tmp_path / "world")
    command = [sys.executable, "-m", "tests.training.full_disk_worker", str(recipe), str(tmp_path)]
    done = subprocess.run(command, env=full_disk.environment(built), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {found[0]["whole"], found[-1]["whole"]} == {None, "checkpoint-10"}
    for point in found:
        if point["code"] == 0:  # only a figure, without which a run is done too
            assert f"{tmp_path}/run/figures/training.png was not drawn: cannot write " in point["said"], point
            continue
        assert (point["code"], point["resumed"], point["staging"]) == (1, 0, False), point
        left = "There is no checkpoint yet" if point["whole"] is None else f"{point['whole']} (step "
        message = f"hf-mtl train: cannot write {tmp_path}/run.*: No space left on device .*{re.escape(left)}.*\n"
        assert re.fullmatch(message, point["said"]), point
    assert len({Path(point["path"]).name for point in found}) > 20


@pytest.fixture(scope="module")
def on_two_processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and its run on two processes."""
    folder = tmp_path_factory.mktemp("two")
    recipe = runs.write_recipe(folder)
    killing.train(recipe, folder / "reference", 2)
    return recipe, folder / "reference"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "room", "file"),
    [
        (0, 0, "run.lock"),
        (0, 100, "log.jsonl"),
        (0, 30_000, ".hf_mtl/staging/checkpoint-5/model.safetensors"),
        (1, 0, ".hf_mtl/staging/checkpoint-5/rng_state_1.pth"),
        (0, None, ".hf_mtl/staging/model.safetensors"),
    ],
)
def test_both_processes_end_when_one_cannot_write(
    tmp_path: Path, on_two_processes: tuple[Path, Path], rank: int, room: int | None, file: str
) -> None:
    recipe, reference = on_two_processes
    run = tmp_path / "run"
    if room is None:  # as much as the main process writes before the final model, and the first third of that
        after = runs.MODEL | {"results.json", "figures"}
        before = [path for path in reference.rglob("*") if path.relative_to(reference).parts[0] not in after]
        times = {"rng_state_1.pth": 0, "trainer_state.json": 2}  # the other process writes the first
        room = 10_000 + sum(path.stat().st_size * times.get(path.name, 1) for path in before if path.is_file())
    full = run / file if file == "log.jsonl" else run  # a disk of its own for the log, which is written all along
    disk = {"FULL_DISK_FOLDER": str(full), "FULL_DISK_ROOM": str(room), "FULL_DISK_RANK": str(rank)}
    environment = full_disk.environment(full_disk.compiled(tmp_path), HF_HOME=str(recipe.parent / "hf"), **disk)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command = [*launcher, "hf_mtl", "train", str(recipe), f"training.output_dir={run}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.count("hf-mtl train: cannot write ") == 1, done.stderr[-3000:]
    assert f"cannot write {run}/{file}: No space left on device" in done.stderr
    assert re.search(r'File ".*hf_mtl', done.stderr) is None, "the launcher's traceback is the only one"
    assert not (run / ".hf_mtl").exists()
    for folder in checkpoint.checkpoints(run):
        manifest.verify(folder)
    killing.train(recipe, run, 2, "--resume")
    assert_same_bits(run, reference)
