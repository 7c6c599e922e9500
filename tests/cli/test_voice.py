"""What several processes say: once what all have, and with its own number what one of them has."""

import os
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed import HashStore

from hf_mtl.cli import commands, main, voice
from hf_mtl.errors import UserError
from hf_mtl.launched import Launched

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "MASTER_ADDR")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(voice, "_PATIENCE_S", 0.2)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run one function for each process, in threads that share what torchrun's agent keeps."""
    store, place = HashStore(), threading.local()
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(voice, "launched", lambda: place.me)
    monkeypatch.setattr(voice, "_store", lambda me: store)

    def run(*works: Callable[[], object]) -> None:
        def one(rank: int, work: Callable[[], object]) -> None:
            place.me = Launched(rank, len(works))
            work()

        threads = [threading.Thread(target=one, args=each) for each in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def saying(text: str, last: bool = True) -> Callable[[], None]:
    return lambda: voice.say(text, last=last)


def nothing() -> None:
    """A process that has nothing to say."""


@pytest.mark.parametrize("last", [True, False])
def test_what_all_have_is_said_once_by_the_first(
    together: Callable[..., None], capsys: pytest.CaptureFixture[str], last: bool
) -> None:
    together(*[saying("a mistake", last)] * 3)
    assert capsys.readouterr().out == "a mistake\n"


def test_what_others_have_is_said_by_one_of_them(
    together: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    together(nothing, *[saying("no such file")] * 3)
    said = capsys.readouterr().out
    assert said.count("no such file") == 1
    assert said.startswith("process ")
    assert " of 4, on " in said


def test_each_says_its_own_and_waits_for_nobody_who_has_ended(
    together: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "_PATIENCE_S", 600.0)
    together(saying("one"), saying("two"))
    assert sorted(capsys.readouterr().out.splitlines()) == ["one", f"process 1 of 2, on {os.uname().nodename}: two"]


@pytest.mark.parametrize("store", [None, SimpleNamespace()])
def test_who_finds_nobody_says_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    def gone(*_: object) -> None:
        raise RuntimeError("Broken pipe")

    if store is not None:
        store.check = store.set = store.add = gone
    monkeypatch.setattr(voice, "_store", lambda me: store)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        voice.say("a mistake", last=True)
    assert capsys.readouterr().out.count("a mistake") == 2
    assert not voice.another_has_ended()


def test_a_store_that_never_answers_hides_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "_PATIENCE_S", 0.02)
    monkeypatch.setattr(voice, "_store", lambda me: time.sleep(1.0))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    voice.say("a mistake", last=True)
    assert capsys.readouterr().out.endswith(": a mistake\n")
    assert not voice.another_has_ended()


def test_nobody_waits_long_for_a_launch_that_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    voice.say("a mistake")
    assert capsys.readouterr().out.endswith(": a mistake\n")
    voice._store.cache_clear()


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "3"},
        {"RANK": "x"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "5", "WORLD_SIZE": "2"},
        {"RANK": "1", "WORLD_SIZE": "two"},
        {"RANK": "1", "WORLD_SIZE": "2"},
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
    ],
)
def test_a_mistake_is_said_whatever_the_environment_holds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setattr(voice, "quiet_others", lambda: None)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main.main(["train", "no-such-recipe.yaml"]) == 2
    assert capsys.readouterr().err.count("no-such-recipe.yaml") == 1
    with pytest.raises(SystemExit):
        main.main(["train", "recipe.yaml", "--no-such-option"])
    assert capsys.readouterr().err.count("--no-such-option") == 1
    assert main.main(["methods", "uw"]) == 0
    assert capsys.readouterr().out.count("uw: a weighting") == 1


def test_what_a_command_prints_comes_once(together: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    together(*[lambda: commands.methods(SimpleNamespace(name="uw"))] * 2)  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("uw: a weighting") == 1

    def ask(word: str) -> None:
        with pytest.raises(SystemExit):
            main.parse([word])

    together(*[lambda: ask("--help")] * 2)
    assert capsys.readouterr().out.count("usage: hf-mtl") == 1
    together(*[lambda: ask("--no-such-option")] * 2)
    assert capsys.readouterr().err.count("usage: hf-mtl") == 1


def test_who_loses_a_process_that_has_said_why_ends_with_one_line(
    together: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_has_ended = threading.Event()

    def train(_: object) -> None:
        if voice.launched() == Launched(1, 2):
            raise UserError("data.csv: no such file")
        first_has_ended.wait()
        raise RuntimeError("Connection closed by peer\nmore")

    codes = {}

    def command(rank: int) -> None:
        codes[rank] = main.main(["train", "recipe.yaml"])
        first_has_ended.set()

    monkeypatch.setattr(voice, "quiet_others", lambda: None)
    monkeypatch.setattr(commands, "train", train)
    together(lambda: command(0), lambda: command(1))
    said = capsys.readouterr().err
    assert codes == {0: 1, 1: 2}
    assert said.count("data.csv: no such file") == 1
    assert said.splitlines()[-1] == (
        "hf-mtl train: ended with the other processes (RuntimeError: Connection closed by peer)"
    )


def test_an_exception_of_its_own_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(commands, "train", train)
    with pytest.raises(RuntimeError, match="ours"):
        main.main(["train", "recipe.yaml"])


def test_libraries_warn_on_the_first_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, quiet in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        environment = {"DATASETS_VERBOSITY": "info"}
        voice.quiet_others(environment)
        assert ("TRANSFORMERS_VERBOSITY" in environment) == quiet
        assert environment["DATASETS_VERBOSITY"] == "info"
