"""One run at a time in a folder, whatever becomes of its processes."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hf_mtl.errors import DataError, DiskError, RunError
from hf_mtl.training.folder import kernel_lock, run_lock
from hf_mtl.training.folder.kernel_lock import KernelLock
from hf_mtl.training.run import train as run
from tests.training import runs

LOCK = run_lock.LOCK


@contextmanager
def another_process(work: Callable[[], object]) -> Iterator[int]:
    """A fork that does something and then only lives, until the block ends or somebody kills it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            kept = work()
            os.write(write, b"." if kept is not None else b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    try:
        assert os.read(read, 1) == b"."
        yield child
    finally:
        os.close(read)
        end(child)


def end(child: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def holding(folder: Path) -> Callable[[], object]:
    """Work of another process: enter a run's lock and stay there."""

    def work() -> object:
        lock = run_lock.run_lock(folder)
        lock.__enter__()
        return lock

    return work


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    with another_process(holding(tmp_path)) as pid, pytest.raises(RunError) as refused, run_lock.run_lock(tmp_path):
        pass
    who = rf"process {pid} on {socket.gethostname()}, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
    refused.match(rf"training\.output_dir: {tmp_path} is in use by another run: {who}")
    refused.match(
        "Wait for it, end it, or choose another folder with training.output_dir=FOLDER. "
        rf"If that machine is down, remove {tmp_path / LOCK}\."
    )
    assert refused.value.exit_code == 2


def test_a_second_run_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with (
        run_lock.run_lock(tmp_path),
        pytest.raises(RunError, match=f"process {os.getpid()} "),
        run_lock.run_lock(tmp_path),
    ):
        pass
    with run_lock.run_lock(tmp_path):  # and one after the other is not
        pass


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, DataError("a mistake")])
def test_nothing_is_left_of_a_lock(tmp_path: Path, error: type[BaseException] | BaseException | None) -> None:
    with suppress(KeyboardInterrupt, DataError), run_lock.run_lock(tmp_path / "runs" / "new"):
        assert (tmp_path / "runs" / "new" / LOCK).exists()
        if error is not None:
            raise error
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_and_files_of_the_run_stay(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with run_lock.run_lock(tmp_path / "empty"):
        pass
    with run_lock.run_lock(tmp_path / "new"):
        (tmp_path / "new" / "log.jsonl").write_text("{}\n")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "empty",
        "new",
        "new/log.jsonl",
    ]


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    with another_process(holding(tmp_path)) as pid:
        end(pid)
        assert (tmp_path / LOCK).exists()
        with run_lock.run_lock(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_forked_worker_neither_keeps_a_lock_nor_ends_it(tmp_path: Path) -> None:
    """As a loader's or a map's: it may outlive its run, and it may end before it."""
    grandchildren, numbers = os.pipe()

    def work() -> object:
        lock = KernelLock.take(tmp_path / LOCK, alone=True)
        if (short := os.fork()) == 0:
            lock.release(last=True)  # what a fork does at its end is nothing to its parent
            os._exit(0)
        assert os.waitpid(short, 0)[1] == 0
        if (long := os.fork()) == 0:
            signal.pause()
        os.write(numbers, f"{long}\n".encode())
        return lock

    with another_process(work) as pid:
        orphan = int(os.read(grandchildren, 20))
        try:
            with pytest.raises(RunError, match=f"process {pid} "):
                KernelLock.take(tmp_path / LOCK, alone=True)
            end(pid)
            os.kill(orphan, 0)  # it lives
            KernelLock.take(tmp_path / LOCK, alone=True).release(last=True)
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_orphaned_processes_of_a_run_keep_its_folder_and_are_named(tmp_path: Path) -> None:
    main = KernelLock.take(tmp_path / LOCK, alone=True)
    main.share()

    def work() -> object:
        return KernelLock.take(tmp_path / LOCK, alone=False)

    with another_process(work) as pid:
        main.release(last=False)  # as a killed one
        with pytest.raises(RunError, match=f"process {pid} on"), run_lock.run_lock(tmp_path):
            pass
    with run_lock.run_lock(tmp_path):
        pass


def test_the_last_process_removes_the_file_once_the_others_have_ended(tmp_path: Path) -> None:
    main = KernelLock.take(tmp_path / LOCK, alone=True)
    main.share()
    other = KernelLock.take(tmp_path / LOCK, alone=False)
    other.release(last=False)
    main.release(last=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_before_it_was_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = KernelLock.take(tmp_path / LOCK, alone=True)
    lock = KernelLock._lock

    def when_the_first_ends(self: KernelLock, alone: bool) -> bool:
        monkeypatch.setattr(KernelLock, "_lock", lock)
        first.release(last=True)
        return lock(self, alone)

    monkeypatch.setattr(KernelLock, "_lock", when_the_first_ends)
    second = KernelLock.take(tmp_path / LOCK, alone=True)
    with pytest.raises(RunError):
        KernelLock.take(tmp_path / LOCK, alone=True)
    second.release(last=True)


@pytest.mark.parametrize(
    "text", ["", "not json\n", '{"host": "a", "pid"', "[1]\n", '{"host": 1, "pid": 2, "since": 3}']
)
def test_a_file_that_is_there_already_is_no_mistake_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    with (
        run_lock.run_lock(tmp_path),
        pytest.raises(RunError, match="in use by another run"),
        run_lock.run_lock(tmp_path),
    ):
        pass
    assert (tmp_path / LOCK).read_text() == text if text else not (tmp_path / LOCK).exists()


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / LOCK).symlink_to(tmp_path / "mine")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / LOCK)
    (tmp_path / "folder" / LOCK).mkdir(parents=True)
    for name in ("linked", "pipe", "folder"):
        with pytest.raises(RunError, match=f"training.output_dir: .*{name}"), run_lock.run_lock(tmp_path / name):
            pass
    assert (tmp_path / "mine").read_text() == "text"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(kernel_lock.os, "open", fails)
    with pytest.raises(RunError, match="cannot be written: Read-only file system"), run_lock.run_lock(tmp_path):
        pass


def test_a_full_disk_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_lock.os, "open", fails)
    full = rf"cannot write {tmp_path}/run/run.lock: No space left on device .*There is no checkpoint yet"
    with pytest.raises(DiskError, match=full), run_lock.run_lock(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


def test_tasks_of_srun_learn_how_to_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with run_lock.run_lock(tmp_path), pytest.raises(RunError) as refused, run_lock.run_lock(tmp_path):
        pass
    refused.match("SLURM_STEP_NUM_TASKS is 4, and each of these processes is a run of its own.*`torchrun`")


# ---- A run ----


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("locked")
    with runs.own_cache(folder):
        yield runs.write_recipe(folder, max_steps=2, eval_steps=1, save_steps=1)


@pytest.mark.parametrize("wish", [{}, {"resume": True}, {"overwrite": True}])
def test_a_run_is_refused_before_it_looks_at_the_data_or_at_the_old_state(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: dict[str, bool]
) -> None:
    if wish:
        (tmp_path / "recipe.yaml").write_text("of another run")
    for name in ("prepare", "_checkpoint_to_resume"):
        monkeypatch.setattr(run, name, lambda *_, **__: pytest.fail("too early"))
    with run_lock.run_lock(tmp_path):
        before = runs.content(tmp_path)
        with pytest.raises(RunError, match="is in use by another run"):
            runs.train(recipe, tmp_path, **wish)
        assert runs.content(tmp_path) == before


def test_runs_follow_each_other_in_one_process_also_after_a_mistake(recipe: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs" / "a"
    with pytest.raises(DataError, match="lable"):
        runs.train(recipe, output, "tasks.mood.label=lable")
    assert not (tmp_path / "runs").exists()
    for wish in ({}, {"overwrite": True}):
        runs.train(recipe, output, **wish)
        assert (output / "results.json").exists()
        assert not (output / LOCK).exists()
