"""Every command and snippet of every page is understood and runs; what a fresh clone lacks for it is said there."""

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

import datasets
import pytest
import transformers

import hf_mtl
from hf_mtl.balancing import available
from hf_mtl.cli.main import main, parse
from hf_mtl.evaluation.registry import METRICS
from hf_mtl.experiments.compare import load_study
from hf_mtl.experiments.reference import reference
from hf_mtl.experiments.sweep.file import read_sweep
from hf_mtl.modeling.heads import HEADS
from hf_mtl.recipe import load_recipe
from hf_mtl.schedules import SCHEDULES
from hf_mtl.tasks import task_types
from tests.hub.repositories import Hub
from tests.hub.stub import serve
from tests.hub.world import Machine
from tests.page_world import write_world
from tests.pages import (
    PAGES,
    README,
    REFERENCE,
    ROOT,
    STUDIES,
    all_commands,
    is_pattern,
    lacks_target,
    without_version,
    words,
)
from tests.training import runs

MINE, OTHERS_DATA = "my-recipe.yaml", "local-"
LARGEST = 14 * 1024
# What cannot be run by a test: it installs, or runs this test, or starts programs for minutes or hours.
NOT_RUN = ("pip", "pre-commit", "scripts/")
COMMANDS = [command for command in all_commands() if command != "hf-mtl"]
HF_MTL = [command for command in COMMANDS if words(command)]
OTHERS = [command for command in COMMANDS if not words(command)]
RECIPES = [(name, block) for name, page in PAGES.items() for block in page.fenced("yaml")]
SNIPPETS = {name: page.fenced("python") for name, page in PAGES.items() if page.fenced("python")}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes, and the README's own beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / MINE).write_text(RECIPES[0][1])
    return tmp_path


# ---- the README ----


def test_the_readme_is_short_and_its_first_screen_has_the_commands_and_a_recipe() -> None:
    assert len(README.text.encode()) <= LARGEST
    first = README.text.splitlines()[:50]
    assert {"scripts/quickstart", "scripts/test"} <= {line.split()[0] for line in first if line}
    assert first.index("```yaml") < 20
    assert first.count("```") == 2


def test_the_readme_names_all_that_can_be_chosen() -> None:
    rows = dict(re.findall(r"^\| (\w[\w ()]*) \| (.*) \|$", README.text, re.M))
    of = {"heads": HEADS.names(), "schedules": SCHEDULES.names(), "metrics": METRICS, "tasks": task_types()}
    names = [(kind, name) for kind, found in of.items() for name in found]
    assert [(kind, name) for kind, name in names if not re.search(rf"\b{name}\b", rows[kind])] == []
    families = list(available().values())
    counts = f"{families.count('weighting')} loss weightings, {families.count('aggregator')} gradient aggregators"
    assert counts in rows["balancing"]


def test_the_rooms_are_those_of_the_import_contract_and_in_its_order() -> None:
    contracts = [ROOT / name for name in ("setup.cfg", "pyproject.toml") if (ROOT / name).exists()]
    layers = next(text for path in contracts if "importlinter" in (text := path.read_text())).partition("layers =")[2]
    names = re.findall(r"^\W*hf_mtl\.(\w+)", layers, re.M)
    rooms = [name for name in names if (ROOT / "hf_mtl" / name).is_dir()]
    told = re.findall(r"^\| `(\w+)/` \|", README.text, re.M)
    assert [name for name in told if name in rooms] == rooms


def test_the_words_of_the_package_are_those_of_the_contributing_page() -> None:
    doc = (hf_mtl.__doc__ or "").partition("Words, one for each idea:\n")[2]
    ours = [line.strip() for line in doc.splitlines() if line.strip()]
    theirs = re.findall(
        r"^- \*\*(.*)\*\*(: .*)$", PAGES[".github/CONTRIBUTING.md"].text.partition("## Words")[2], re.M
    )
    assert ours == [word + text for word, text in theirs]
    assert 10 <= len(ours) <= 18


# ---- commands ----


def test_there_are_commands_of_every_program() -> None:
    assert len(HF_MTL) > 10
    assert {command.split()[0] for command in COMMANDS} >= {"hf-mtl", "accelerate", "pip", "scripts/quickstart"}


@pytest.mark.usefixtures("no_plugin_stays")
@pytest.mark.parametrize("command", HF_MTL)
def test_a_command_is_understood(command: str, clone: Path) -> None:
    arguments = parse([*words(command), *(["RUN"] if lacks_target(command) else [])])
    if getattr(arguments, "target", "").endswith(".yaml"):
        load = {"compare": load_study, "sweep": read_sweep}.get(arguments.command, load_recipe)
        load(arguments.target, arguments.overrides, allow_code=getattr(arguments, "allow_code", False))


@pytest.mark.parametrize("command", OTHERS)
def test_another_program_is_there_with_its_options(command: str) -> None:
    name, *options = shlex.split(command)
    if name.startswith("scripts/"):
        # The options that a script hands on are in the program that it starts.
        programs = sorted((ROOT / "scripts").glob("*/*"))
        texts = [ROOT / name, *(path for path in programs if path.suffix in ("", ".py") and path.is_file())]
        known = "".join(path.read_text() for path in texts if path.is_file())
        assert (ROOT / name).exists() or "NAME" in name
        assert not options or os.access(ROOT / name, os.X_OK)
        assert [option for option in options if option.startswith("--") and option not in known] == []
        assert all((ROOT / option).exists() for option in options if "/" in option)
    elif name == "pip":
        assert options in (["install", "torch"], ["install", "-e", "."])
    elif name == "pre-commit":
        assert (ROOT / ".pre-commit-config.yaml").exists()
    else:
        assert command in ("accelerate launch", "accelerate launch --multi_gpu", "torchrun")


def test_no_command_is_left_out() -> None:
    """A new command of a page is run by a test below, or is of a program that cannot be."""
    named = {"accelerate launch", "accelerate launch --multi_gpu", "torchrun"}
    assert [command for command in OTHERS if command not in named and not command.startswith(NOT_RUN)] == []


@pytest.mark.parametrize("command", [found for found in HF_MTL if words(found)[0] in ("methods", "schema")])
def test_a_cheap_command_runs(command: str, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not is_pattern(command):
        assert main(words(command)) == 0
        assert len(capsys.readouterr().out) > 1000


# ---- snippets, links, what is said ----


def test_there_are_snippets_of_recipes_and_of_python() -> None:
    assert {"README.md", "recipes/guide.md"} <= {name for name, _ in RECIPES} & set(SNIPPETS)


@pytest.mark.parametrize("number", range(1, len(RECIPES)))
def test_a_recipe_in_a_page_is_valid(number: int, clone: Path) -> None:
    write_part(clone, number)
    load_recipe(f"{number}.yaml")


def write_part(folder: Path, number: int) -> None:
    """A part of a recipe in a page, as one that extends the README's."""
    (folder / "plain.yaml").write_text(f"extends: {MINE}\nmixture: null\n")
    backbone = "encoder" if (folder / "encoder").exists() else "roberta-base"
    part = RECIPES[number][1].replace("roberta-base", backbone)
    (folder / f"{number}.yaml").write_text(f"extends: plain.yaml\n{part}")


@pytest.mark.parametrize("name", SNIPPETS)
def test_python_in_a_page_is_valid(name: str) -> None:
    for block in SNIPPETS[name]:
        ast.parse(block)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = PAGES[name]
    lost = []
    for link in page.links():
        file, _, anchor = link.partition("#")
        path = ((ROOT / name).parent / file).resolve() if file else ROOT / name
        target = PAGES.get(path.relative_to(ROOT).as_posix())
        if not path.exists() or (anchor and (target is None or anchor not in target.anchors())):
            lost.append(link)
    assert lost == []


def test_the_extras_that_are_named_exist() -> None:
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().partition("optional-dep")[2], re.M)
    lines = [line for page in PAGES.values() for line in page.text.splitlines() if "extra" in line]
    named = re.findall(r"\[(\w+)\](?!\()", " ".join(lines))
    assert {"peft", "bench", "test"} <= set(named) <= set(extras)


def test_what_a_fresh_clone_lacks_is_said() -> None:
    others = STUDIES.keys() - {"recipes/studies/quickstart/README.md"}  # whose data are in the package
    said = {
        "README.md": "It reads `cardiffnlp/tweet_eval` and `roberta-base` from the Hub, and an `intensity.csv`",
        "recipes/guide.md": "read parquet files in `../shared/data` beside the repository, which are not part of it",
        **dict.fromkeys(others, "the data of the `local-*.yaml` recipes and the extra `[bench]`"),
        "scripts/bench/README.md": "needs the data of the `local-*.yaml` recipes and the extra `[bench]`",
    }
    plain = {name: " ".join(page.text.split()) for name, page in PAGES.items()}
    assert [name for name, text in said.items() if text not in plain[name]] == []


def test_the_reference_of_recipes_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """``hf-mtl schema --markdown > recipes/README.md``; its end is of one version of transformers."""
    monkeypatch.chdir(ROOT)
    written, printed = REFERENCE.text, reference("recipe", Path("recipes")) + "\n"
    assert without_version(written) == without_version(printed)
    if f"transformers {transformers.__version__}" in written:
        assert written == printed


# ---- slow: all of it runs ----


SHORT = [f"training.{key}=1" for key in ("max_steps", "eval_steps", "save_steps")]
SHORT += ["training.report_to=none", "training.use_cpu=true"]


LONG = [f"hf-mtl compare {name.removesuffix('README.md')}" for name in STUDIES if "quickstart" not in name]
HOURS = (*(f"hf-mtl {name} recipes/" for name in ("report", "sweep", "affinity")), *LONG)
"""Studies, which `tests/recipe/test_studies.py` reads, and reports that would be written into the repository."""


def shortened(command: str) -> list[str]:
    """The words of a command, with a recipe of the repository trained for a moment only."""
    found = [_there(word) for word in words(command)]
    if not any(word.startswith("recipes/") for word in found):
        return found
    if found[0] == "compare":
        return [*found, *(f"set.{key}" for key in SHORT), "seeds=1", "output_dir=runs/short-study"]
    return [*[word for word in found if word.partition("=")[0] not in _SHORT_KEYS], *SHORT, *_folder(found)]


def _there(word: str) -> str:
    """A checkpoint that the short run has, in the place of one that the page names."""
    run, found, _ = word.partition("/checkpoint-")
    return str(min(Path(run).glob("checkpoint-*"))) if found and Path(run).is_dir() else word


_SHORT_KEYS = {word.partition("=")[0] for word in SHORT}


def _folder(found: list[str]) -> list[str]:
    if any(word.startswith("training.output_dir=") for word in found):
        return []
    recipe = next(word for word in found if word.startswith("recipes/"))
    return [f"training.output_dir=runs/{recipe.replace('/', '-').removesuffix('.yaml')}"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("readme") / "clone"
    folder.mkdir()
    (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    with runs.own_cache(folder), runs.inside(folder):
        write_world(folder, folder / MINE, RECIPES[0][1])
        yield folder


@pytest.fixture
def stub() -> Iterator[Hub]:
    with serve() as served:
        yield served


def pushed(command: str, folder: Path, stub: Hub) -> tuple[int, str]:
    """Run a command that pushes in a process of its own, which knows no other Hub than the stub."""
    machine = Machine(stub, folder / "home", folder)
    done = machine.python("-m", "hf_mtl", *words(re.sub(r"\b(me|owner)/", "user/", command)))
    return done.returncode, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_runs_in_the_order_of_the_pages(
    world: Path, stub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in HF_MTL:
        lacks = OTHERS_DATA in command and not (ROOT.parent / "shared" / "data").exists()
        if is_pattern(command) or lacks or command.startswith(("accelerate", *HOURS)):
            continue
        code, said = pushed(command, world, stub) if words(command)[0] == "push" else (main(shortened(command)), "")
        assert code == 0, f"{command}: {said or capsys.readouterr().err[-2000:]}"
    assert set(stub.repos) == {"models/user/mine"}
    assert json.loads((world / "runs/mine/results.json").read_text())["tasks"].keys() == {"emotion", "intensity"}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, len(RECIPES)))
def test_a_recipe_in_a_page_trains(number: int, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_part(world, number)
    more = ["training.num_train_epochs=2", f"training.output_dir=runs/part-{number}"]
    # Where a page evaluates every so many steps, its run is longer than this one.
    more += [f"training.{key}=1" for key in re.findall(r"(eval_steps|save_steps|window_steps):", RECIPES[number][1])]
    code = main(["train", f"{number}.yaml", *more])
    said = capsys.readouterr().err
    if shared := re.search(r"^  (fsdp|deepspeed):", RECIPES[number][1], re.M):  # which takes accelerators
        assert code == 2
        assert f"training.{shared[1]}: is " in said
    else:
        assert code == 0, said[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", SNIPPETS)
def test_python_in_a_page_runs(name: str, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written, but for what comes from the Hub."""

    def load(path: str, *names: str, **options: Any) -> Any:
        files = {split: f"{split}.csv" for split in ("train", "validation", "test")}
        return read(path, **options) if path == "csv" else read("csv", data_files=files)

    read = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", load)
    for number, block in enumerate(SNIPPETS[name]):
        local = block.replace('"roberta-base"', '"encoder"').replace('"recipes/quickstart.yaml"', f'"{MINE}"')
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        exec(compile(local, f"{name}:{number}", "exec"), {})


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
