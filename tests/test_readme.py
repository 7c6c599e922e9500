"""Every command of the README is understood, and runs; what a fresh clone lacks for it is said there."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.cli.main import main, parse
from hf_mtl.recipe import load_recipe
from tests import tiny
from tests.training import runs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
PROGRAMS = ("hf-mtl", "accelerate", "torchrun", "pip", "pre-commit", "scripts/")
MINE, OTHERS_DATA = "my-recipe.yaml", "local-"
# What cannot be run by a test: it installs, or runs this test.
NOT_RUN = {"pip", "pre-commit", "scripts/test", "scripts/quickstart"}


def fenced(language: str) -> list[str]:
    return [text for kind, text in FENCES if kind == language]


def commands() -> list[str]:
    """The lines of the shell's blocks, without their comments, and what the text names in backquotes."""
    blocks = [re.sub(r"\s+# .*", "", line).strip() for text in fenced("bash") for line in text.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
    named = [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose)]
    return list(dict.fromkeys([*filter(None, blocks), *(word for word in named if word.startswith(PROGRAMS))]))


def words(command: str) -> list[str]:
    """The words behind ``hf-mtl``, however it is started; empty for another program."""
    found = shlex.split(command.partition(" > ")[0])
    if found[0] == "hf-mtl":
        return found[1:]
    return found[found.index("hf_mtl") + 1 :] if "hf_mtl" in found else []


def is_pattern(command: str) -> bool:
    """Whether words of it stand for others: RUN, or key=value."""
    return any(word in ("RUN", "key=value") for word in words(command))


HF_MTL = [command for command in commands() if words(command)]
OTHERS = [command for command in commands() if not words(command)]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes, and the README's own beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / MINE).write_text(fenced("yaml")[0])
    return tmp_path


def test_there_are_commands_of_every_program() -> None:
    assert len(HF_MTL) > 10
    assert {command.split()[0] for command in commands()} >= {"hf-mtl", "accelerate", "pip", "scripts/quickstart"}


@pytest.mark.parametrize("command", HF_MTL)
def test_a_command_is_understood(command: str, clone: Path) -> None:
    arguments = parse(words(command))
    if getattr(arguments, "target", "").endswith(".yaml"):
        load_recipe(arguments.target, arguments.overrides)


@pytest.mark.parametrize("command", OTHERS)
def test_another_program_is_there_with_its_options(command: str) -> None:
    name, *options = shlex.split(command)
    if name.startswith("scripts/"):
        # The options that a script hands on are in the program that it starts.
        studies = sorted((ROOT / "scripts").glob("*/*"))
        texts = [ROOT / name, *(path for path in studies if path.suffix in ("", ".py") and path.is_file())]
        assert os.access(ROOT / name, os.X_OK) or not (options or (ROOT / name).suffix == "")
        known = "".join(path.read_text() for path in texts)
        assert [option for option in options if option.startswith("--") and option not in known] == []
        assert all((ROOT / option).exists() for option in options if "/" in option)
    elif name == "pip":
        assert options in (["install", "torch"], ["install", "-e", "."])
    elif name == "pre-commit":
        assert (ROOT / ".pre-commit-config.yaml").exists()
    else:
        assert command in ("accelerate launch", "torchrun")


def test_the_extras_that_are_named_exist() -> None:
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().partition("optional-dep")[2], re.M)
    named = re.findall(r"\[(\w+)\](?!\()", " ".join(line for line in README.splitlines() if "extra" in line))
    assert {"lora", "bench", "test"} <= set(named) <= set(extras)


def test_what_a_fresh_clone_lacks_is_said() -> None:
    plain = " ".join(README.split())
    for said in (
        "It reads `cardiffnlp/tweet_eval` and `roberta-base` from the Hub, and an `intensity.csv` of yours",
        "`local-*.yaml` read parquet files in `../shared/data` beside the repository, which are not part of it",
        "needs the data of the `local-*.yaml` recipes and the extra `[bench]`",
    ):
        assert said in plain


def test_blocks_of_recipes_and_of_python_are_valid(clone: Path) -> None:
    _, *parts = fenced("yaml")
    (clone / "plain.yaml").write_text(f"extends: {MINE}\nmixture: null\n")
    for number, part in enumerate(parts):
        (clone / f"{number}.yaml").write_text(f"extends: plain.yaml\n{part}")
        load_recipe(f"{number}.yaml")
    for block in fenced("python"):
        ast.parse(block)


@pytest.mark.parametrize("command", [found for found in HF_MTL if words(found)[0] in ("methods", "schema")])
def test_a_cheap_command_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(command)) == 0
    assert len(capsys.readouterr().out) > 1000


def write_world(folder: Path) -> None:
    """The README's recipe on what is here: a tiny encoder, and csv files with the columns that it names."""
    recipe: dict[str, Any] = yaml.safe_load(fenced("yaml")[0])
    bert = {key: value for key, value in tiny.BERT.items() if key != "vocab_size"}
    recipe["model"] |= {"backbone": bert, "tokenizer": {"train": "wordpiece", "vocab_size": 200}, "max_length": 32}
    for split, size in (("train", 60), ("validation", 30), ("test", 30)):
        rows = tiny.rows("mood", size, seed=size)
        rows.to_csv(folder / f"{split}.csv")
    files = {split: f"{split}.csv" for split in ("train", "validation", "test")}
    recipe["tasks"]["emotion"]["dataset"] = {"path": "csv", "data_files": files}
    recipe["training"] |= {"report_to": "none", "use_cpu": True}
    scores = tiny.rows("score", 60).rename_columns({"x": "valence", "y": "arousal"})
    scores.to_csv(folder / "intensity.csv")
    (folder / MINE).write_text(yaml.safe_dump(recipe, sort_keys=False))


def shortened(command: str) -> list[str]:
    """The words of a command, with a recipe of the repository trained for a moment only."""
    found = words(command)
    if not any(word.startswith("recipes/") for word in found):
        return found
    steps = [f"training.{key}=1" for key in ("max_steps", "eval_steps", "save_steps")]
    return [*found, *steps, "training.report_to=none", "training.use_cpu=true", *_folder(found)]


def _folder(found: list[str]) -> list[str]:
    return [] if any(word.startswith("training.output_dir=") for word in found) else ["training.output_dir=runs/one"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("readme") / "clone"
    folder.mkdir()
    (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    write_world(folder)
    with runs.own_cache(folder), runs.inside(folder):
        yield folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_runs_in_the_order_of_the_readme(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in HF_MTL:
        lacks = OTHERS_DATA in command and not (ROOT.parent / "shared" / "data").exists()
        if is_pattern(command) or lacks or command.startswith("accelerate"):
            continue
        code = main(shortened(command))
        assert code == 0, f"{command}: {capsys.readouterr().err[-2000:]}"
    assert json.loads((world / "runs/mine/results.json").read_text())["tasks"].keys() == {"emotion", "intensity"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [found for found in HF_MTL if found.startswith("accelerate")])
def test_two_processes_start_as_the_readme_says(world: Path, command: str, tmp_path: Path) -> None:
    """Without a GPU the command that wants several of them is refused, which the README says as well."""
    program = [sys.executable, "-m", "accelerate.commands.launch", *shlex.split(command)[2:]]
    more = [f"training.output_dir={tmp_path / 'run'}", "training.use_cpu=true", "training.num_train_epochs=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [*program, *more], capture_output=True, text=True, cwd=world, env=environment, timeout=500, check=False
    )
    if "--multi_gpu" in command:
        assert done.returncode == 0, done.stderr[-2000:]
        assert (tmp_path / "run" / "results.json").exists()
    else:
        assert done.returncode != 0
        assert "--multi_gpu" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "scripts").glob("reproduce_*")))
def test_a_report_needs_nothing_but_the_committed_results(name: str) -> None:
    program = ROOT / "scripts" / "studies" / f"{name.removeprefix('reproduce_')}_report.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) > 5


def test_no_command_is_left_out() -> None:
    """A new command of the README is run by one of the tests above, or listed as what cannot be."""
    run = {command for command in HF_MTL if not is_pattern(command)}
    reports = {f"scripts/{path.name}" for path in (ROOT / "scripts").glob("reproduce_*")}
    left = [command for command in commands() if command not in run and not is_pattern(command)]
    files = {command for command in left if (ROOT / command).is_file() and not os.access(ROOT / command, os.X_OK)}
    benches = {f"scripts/{path.name}" for path in (ROOT / "scripts").glob("bench_*")}
    known = {"accelerate launch", "torchrun", "scripts/bench_balancing --parts", *benches, *reports, *files}
    # Starts programs of others for hours: its options are looked at above.
    assert [item for item in left if item not in known and item.split()[0] not in NOT_RUN] == []
