"""`hf-mtl init`, and the examples in the help of every command."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.cli.examples import EXAMPLES
from hf_mtl.cli.main import parse
from tests.cli.conftest import Said
from tests.drafting import files

Command = Callable[..., Said]
LINES = [(name, line) for name, text in EXAMPLES.items() for line in text.splitlines()]


def test_it_says_what_it_guessed_and_what_comes_next(
    hf_mtl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"w1 w2 w{number}", "label": "ab"[number % 2]} for number in range(40)]
    files.write_csv(tmp_path / "mood.csv", rows)
    said = hf_mtl("init", "--backbone", "scratch", "mood.csv")
    assert said.code == 0, said.err
    assert said.out.startswith("mood: sequence_classification of 'label' (")
    assert "Wrote recipe.yaml. Read its comments, then:\n\n    hf-mtl plan recipe.yaml\n" in said.out
    again = hf_mtl("init", "mood.csv")
    assert (again.code, again.err.splitlines()[1]) == (
        2,
        "--output: 'recipe.yaml' is there. Give another name, or --overwrite to replace it",
    )
    assert hf_mtl("plan", "recipe.yaml").code == 0


def test_what_is_to_be_typed_next_is_what_a_shell_takes(
    hf_mtl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_csv(
        tmp_path / "mood.csv", [{"text": f"w1 w2 w{number}", "label": "ab"[number % 2]} for number in range(40)]
    )
    names = ["a name & more; of it's kind.yaml", f"{'very ' * 30}long.yaml"]
    for name in names:
        said = hf_mtl("init", "--backbone", "scratch", "mood.csv", "-o", name)
        lines = [*said.out.splitlines(), *(line.removeprefix("#") for line in Path(name).read_text().splitlines())]
        commands = [
            shlex.split(line) for line in lines if line.startswith("    hf-mtl ") or line.startswith("     hf-mtl")
        ]
        assert commands == 2 * [["hf-mtl", "plan", name], ["hf-mtl", "train", name]]
    said = hf_mtl("init", "--quickstart", "-o", "a & b.yaml")
    assert "hf-mtl train 'a & b.yaml'" in said.out
    assert "#   hf-mtl train 'a & b.yaml' --test" in Path("a & b.yaml").read_text().splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init"], "nothing to look at. Name files, folders or ids of the Hub; or say --quickstart"),
        (["init", "--quickstart", "a.csv"], "--quickstart: takes no data"),
        (["init", "--quickstart", "--backbone", "scratch"], "--backbone: the quickstart has its own"),
        (["init", "nothing.csv"], "no file or folder"),
    ],
)
def test_mistakes_write_nothing(
    words: list[str], said: str, hf_mtl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = hf_mtl(*words)
    assert answer.code == 2
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "line"), LINES)
def test_an_example_is_understood_and_is_of_its_command(name: str, line: str) -> None:
    words = shlex.split(line.partition("   ")[0] if not line.startswith("  ") else line.strip().partition("   ")[0])
    words = words[words.index("hf_mtl" if "hf_mtl" in words else "hf-mtl") + 1 :]
    arguments = parse([*words[: words.index(">")]] if ">" in words else words)
    assert arguments.command == name


def test_the_help_of_a_command_ends_with_its_examples(hf_mtl: Command) -> None:
    for name, text in EXAMPLES.items():
        assert hf_mtl(name, "--help").out.rstrip().endswith(text.rstrip())
