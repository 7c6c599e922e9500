"""The command line itself: help, words in any order, what is refused, exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from hf_mtl.cli import commands
from hf_mtl.cli import main as main_module
from hf_mtl.cli.main import build_parser, main, parse
from hf_mtl.errors import Mistake, RecipeError
from tests.cli.conftest import Said

COMMANDS = ("init", "train", "evaluate", "plan", "affinity", "join", "methods", "schema")
Command = Callable[..., Said]


def test_help_names_every_command_and_the_exit_codes(hf_mtl: Command) -> None:
    said = hf_mtl("--help")
    assert (said.code, said.err) == (0, "")
    assert all(f"\n    {name} " in said.out for name in COMMANDS)
    codes = "exit codes: 0 done, 2 a mistake in the recipe, the data or the command, 3 kept but not pushed"
    assert codes in said.out
    assert "130 or 143\nstopped by Ctrl-C or SIGTERM and resumable" in said.out


def test_the_version_is_that_of_the_package(hf_mtl: Command) -> None:
    assert hf_mtl("--version") == Said(0, f"hf-mtl {version('hf_mtl')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(hf_mtl: Command, command: str) -> None:
    said = hf_mtl(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: hf-mtl {command} [-h]")
    described = said.out.split("\n\n")[1]
    assert described[0].isupper()
    assert described.endswith(".")


def test_every_command_of_the_parser_has_its_function() -> None:
    assert all(callable(getattr(commands, name)) for name in COMMANDS)
    assert all(
        f"{name}," in build_parser().format_usage() or name in build_parser().format_help() for name in COMMANDS
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "hf-mtl: error: the following arguments are required: COMMAND"),
        (["trian", "x.yaml"], "argument COMMAND: invalid choice: 'trian' (choose from"),
        (["train"], "hf-mtl train: error: the following arguments are required: RECIPE\n"),
        (["evaluate"], "the following arguments are required: RUN\n"),
        (["train", "x.yaml", "--rusume"], "; see hf-mtl train --help. Did you mean --resume?\n"),
        (["train", "--bogus", "x.yaml"], "unknown option: --bogus; see hf-mtl train --help\n"),
        (["plan", "x.yaml", "--test"], "unknown option: --test; see hf-mtl plan --help"),
        (
            ["evaluate", "x", "--baseline"],
            "unknown option: --baseline; see hf-mtl evaluate --help. Did you mean --baselines?",
        ),
        (["train", "x.yaml", "--over"], "unknown option: --over; see hf-mtl train --help"),
        (["schema", "x.yaml"], "invalid choice: 'x.yaml' (choose from"),
        (["methods", "uw", "pcgrad"], "methods takes one name, found: pcgrad"),
        (["push", "runs/mine"], "the following arguments are required: REPO"),
        (["push", "runs/mine", "me/mine", "me/other"], "push takes one RUN and one REPO, found: me/other"),
        (["push", "runs/mine", "me/mine", "--public"], "unknown option: --public; see hf-mtl push --help"),
        (["evaluate", "x", "--split", "dev"], "argument --split: invalid choice: 'dev'"),
    ],
)
def test_a_wrong_command_line_is_refused(hf_mtl: Command, words: list[str], said: str) -> None:
    found = hf_mtl(*words)
    assert found.code == 2
    assert found.err.startswith("usage: hf-mtl ")
    assert said in found.err
    assert found.out == ""


@pytest.mark.parametrize(
    "words",
    [
        "r.yaml a=1 b=2 --resume",
        "r.yaml a=1 --resume b=2",
        "r.yaml --resume a=1 b=2",
        "--resume r.yaml a=1 b=2",
        "a=1 r.yaml --resume b=2",
        "a=1 b=2 --resume r.yaml",
        "a=1 --resume b=2 r.yaml",
    ],
)
def test_words_may_stand_in_any_order(words: str) -> None:
    arguments = parse(["train", *words.split()])
    assert (arguments.target, arguments.overrides, arguments.resume) == ("r.yaml", ["a=1", "b=2"], True)


def test_an_existing_file_may_have_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1.yaml").write_text("")
    arguments = parse(["train", "lr=1.yaml", "a=1"])
    assert (arguments.target, arguments.overrides) == ("lr=1.yaml", ["a=1"])


def test_a_forgotten_recipe_is_noticed(hf_mtl: Command) -> None:
    said = hf_mtl("train", "training.max_steps=3")
    assert said.code == 2
    assert "training.max_steps=3: no such file. Give the path of a recipe, a YAML file." in said.err


def test_mistakes_are_counted_and_listed(hf_mtl: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(arguments: object) -> None:
        raise RecipeError([Mistake("a", "is wrong"), Mistake("b", "is wrong too", "Mend it.", "x.yaml:3")])

    monkeypatch.setattr(commands, "train", two)
    said = hf_mtl("train", "x.yaml")
    assert said == Said(2, "", "hf-mtl train: 2 mistakes\na: is wrong.\nx.yaml:3: b: is wrong too. Mend it.\n")


def test_a_rank_that_was_left_in_the_environment_hides_nothing(
    hf_mtl: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert "nowhere.yaml: no such file" in hf_mtl("train", "nowhere.yaml").err


@pytest.mark.parametrize(("rank", "ends_at_once"), [("0", False), ("1", True)])
def test_of_launched_processes_all_but_the_first_end_at_once(
    monkeypatch: pytest.MonkeyPatch, rank: str, ends_at_once: bool
) -> None:
    codes: list[int] = []
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(main_module, "main", lambda: 3)
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(SystemExit) as ended:
        main_module.run()
    assert (ended.value.code, codes) == (3, [3] if ends_at_once else [])


def test_other_errors_are_ours_and_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "train", broken)
    with pytest.raises(ZeroDivisionError):
        main(["train", "x.yaml"])


def test_ctrl_c_in_any_command_is_one_line(hf_mtl: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "plan", interrupted)
    assert hf_mtl("plan", "x.yaml") == Said(130, "", "\nhf-mtl plan: stopped by Ctrl-C\n")


# ---- As a program ----


def program(*words: str) -> "subprocess.CompletedProcess[str]":
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False
    )


def test_the_module_is_the_same_program() -> None:
    done = program("-m", "hf_mtl", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: hf-mtl [-h] [--version] COMMAND ...")
    assert program("-m", "hf_mtl", "trian").returncode == 2


def test_help_does_not_wait_for_heavy_imports() -> None:
    code = (
        "import sys; from hf_mtl.cli.main import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: sys.exit(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)) or 0)"
    )
    assert program("-c", code).returncode == 0


def test_a_mistake_ends_with_2_and_a_bug_with_1() -> None:
    done = program("-m", "hf_mtl", "train", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "hf-mtl train: 1 mistake\nnowhere.yaml: no such file. Give the path of a recipe, a YAML file.\n"
    )
    code = (
        "import sys; from hf_mtl.cli import commands, main\n"
        "commands.plan = lambda arguments: 1 / 0\n"
        "sys.exit(main.main(['plan', 'x.yaml']))"
    )
    broken = program("-c", code)
    assert broken.returncode == 1
    assert "ZeroDivisionError" in broken.stderr


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of one."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("words", "code"), [(["schema"], 0), (["plan", "nowhere.yaml"], 2)])
def test_a_command_leaves_the_process_group_before_it_ends(
    hf_mtl: Command, group: None, words: list[str], code: int
) -> None:
    assert hf_mtl(*words).code == code
    assert not torch.distributed.is_initialized()


def test_a_process_group_that_cannot_be_left_changes_no_exit_code(
    hf_mtl: Command, group: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("Connection closed by peer")

    with monkeypatch.context() as patch:
        patch.setattr(torch.distributed, "destroy_process_group", fail)
        assert hf_mtl("schema").code == 0


def test_a_token_on_the_command_line_is_not_repeated(hf_mtl: Command) -> None:
    for words in (["train", "r.yaml", "--hub_token=geheim-7"], ["methods", "uw", "training.hub_token=geheim-7"]):
        found = hf_mtl(*words)
        assert found.code == 2
        assert "hub_token=***" in found.err
        assert "geheim-7" not in found.out + found.err
