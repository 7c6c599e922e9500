"""Which signals are taken, from whom, and what a second one does."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.data.workers import GRACE, outlive_signals
from hf_mtl.errors import Interrupted, Stopped, Terminated
from hf_mtl.training import interruption
from hf_mtl.training.interruption import Interruption, unclaimed, without_jit_checkpoint
from tests.training.trainers import make

INT, TERM = signal.SIGINT, signal.SIGTERM


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def ends_with(action: Callable[[], object]) -> int:
    """The exit code of a forked process that does something; 0 if it comes to its end."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException as error:
            os._exit(getattr(error, "exit_code", 1))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def deferred(found: Interruption, then: Exception | None = None) -> None:
    """A signal in a block that defers it, and what happens in the block after it."""
    with found.taking([INT, TERM]):
        with found.deferring("in it"):
            send(TERM)
            assert found.received == TERM
            if then is not None:
                raise then
        raise AssertionError("went on after the block")


def test_handlers_are_there_only_in_the_block() -> None:
    before = signal.getsignal(INT), signal.getsignal(TERM)
    found = Interruption("here", "Go on.")
    with pytest.raises(Interrupted, match=r"^Stopped by SIGINT here. Go on.$"), found.taking([INT, TERM]):
        send(INT)
    assert (signal.getsignal(INT), signal.getsignal(TERM)) == before


def test_a_deferred_signal_is_noted_and_stops_after_the_block() -> None:
    with pytest.raises(Terminated, match="Stopped by SIGTERM after it"):
        deferred(Interruption("after it"))


def test_an_error_of_its_own_is_no_stop_and_a_lost_connection_is_one() -> None:
    with pytest.raises(RuntimeError, match="mine"), Interruption().taking([TERM]):
        raise RuntimeError("mine")
    with pytest.raises(Terminated, match=r"in it \(RuntimeError: Connection closed by peer\)"):
        deferred(Interruption(), RuntimeError("Connection closed by peer\nand more"))
    with pytest.raises(OSError, match="No space"):
        deferred(Interruption(), OSError("No space"))


def test_handlers_of_the_users_program_and_ignored_signals_are_left_alone() -> None:
    def own(number: int, frame: object) -> None: ...

    for handler in (own, signal.SIG_IGN):
        before = signal.signal(TERM, handler)
        try:
            assert unclaimed(INT, TERM) == [INT]
        finally:
            signal.signal(TERM, before)
    assert unclaimed(INT, TERM) == [INT, TERM]


def test_a_run_within_a_run_takes_them_and_gives_them_back() -> None:
    with Interruption("outer").taking([TERM]) as outer:
        with pytest.raises(Terminated, match="inner"), Interruption("inner").taking(unclaimed(TERM)):
            send(TERM)
        assert signal.getsignal(TERM) == outer._handle


def test_what_stopped_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(interruption.logger, "warning", said.append)
    with pytest.raises(Terminated), Interruption("outer").taking([TERM]), Interruption("inner").taking([TERM]):
        send(TERM)
    assert said == ["Stopped by SIGTERM inner."]


def test_what_waits_outside_of_python_is_ended_by_the_system() -> None:
    with Interruption("here").taking([signal.SIGTERM]):
        taken = signal.getsignal(signal.SIGTERM)
        with interruption.ending_at_once():
            assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == taken
        signal.signal(signal.SIGTERM, mine := lambda number, frame: None)
        with interruption.ending_at_once():
            assert signal.getsignal(signal.SIGTERM) == mine, "the program's own"
        signal.signal(signal.SIGTERM, taken)


def test_a_handler_that_was_put_in_its_place_stays() -> None:
    before = signal.getsignal(TERM)
    with Interruption().taking([TERM]):
        signal.signal(TERM, signal.SIG_IGN)
    try:
        assert signal.getsignal(TERM) is signal.SIG_IGN
    finally:
        signal.signal(TERM, before)


def test_nothing_is_taken_in_another_thread() -> None:
    found: list[object] = []

    def work() -> None:
        with Interruption().taking([TERM]):
            found.append(signal.getsignal(TERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(TERM)]


def twice(first: int, second: int, pause: float) -> Callable[[], None]:
    def action() -> None:
        interruption.AGAIN = 0.05
        found = Interruption()
        with found.taking([INT, TERM]), found.deferring(""):
            send(first)
            time.sleep(pause)
            send(second)
            os._exit(77)  # goes on with its step

    return action


@pytest.mark.parametrize(
    ("first", "second", "pause", "code"),
    [
        (INT, INT, 0.1, 130),
        (INT, INT, 0.0, 77),  # a launcher's copy of the first
        (TERM, INT, 0.1, 130),
        (INT, TERM, 0.1, 77),
        (TERM, TERM, 0.1, 77),
    ],
)
def test_a_second_ctrl_c_ends_at_once(first: int, second: int, pause: float, code: int) -> None:
    assert ends_with(twice(first, second, pause)) == code


def test_a_forked_process_ends_at_sigterm_as_any_other() -> None:
    with Interruption().taking([INT, TERM]):
        assert ends_with(lambda: send(INT)) == 0  # it is for its parent to say so
        assert ends_with(lambda: send(TERM)) == -TERM


def test_a_trainer_is_built_without_the_handler_of_transformers(tmp_path: Path) -> None:
    before = signal.getsignal(TERM)
    trainer = make(tmp_path, enable_jit_checkpoint=True)
    assert signal.getsignal(TERM) == before
    assert trainer.args.enable_jit_checkpoint
    assert not any("JIT" in type(callback).__name__ for callback in trainer.callback_handler.callbacks)
    with pytest.raises(OSError, match="failed"), without_jit_checkpoint(trainer.args):
        raise OSError("failed")
    assert trainer.args.enable_jit_checkpoint


def test_stopped_says_which_exit_code() -> None:
    assert {kind: kind("").exit_code for kind in (Interrupted, Terminated)} == {Interrupted: 130, Terminated: 143}
    assert Terminated("text").code == 143
    assert str(Terminated("text")) == "text"
    assert not issubclass(Stopped, Exception)


def test_a_loaders_worker_outlives_a_signal_to_all_processes() -> None:
    def action() -> None:
        outlive_signals()
        send(INT)
        send(TERM)
        assert 0 < signal.alarm(0) <= GRACE  # it ends a little later, should nobody end it

    assert ends_with(action) == 0
