"""A wheel and an sdist: what is in them, and that the quickstart runs where there is nothing but the wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import hf_mtl

ROOT = Path(__file__).parents[1]
OWN = ("hf_mtl", "recipes", "pyproject.toml", "setup.cfg", "README.md", "LICENSE", "CHANGELOG.md", "scripts")


def test_the_version_is_one() -> None:
    assert hf_mtl.__version__ == version("hf_mtl")
    newest = re.findall(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
    assert newest[0] == hf_mtl.__version__


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and a wheel of what is in it; from a copy, as runs and caches of this folder are no part of it."""
    pytest.importorskip("build", reason="build makes wheels")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in OWN:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        elif path.exists():
            shutil.copy(path, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_the_wheel_has_every_module_and_what_belongs_to_the_package(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hf_mtl").rglob("*.py")}
    others = {f"hf_mtl/{name}" for name in ("py.typed", "AGENTS.md", "drafting/quickstart.yaml")}
    assert modules | others == {name for name in names if name.startswith("hf_mtl/")}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_sdist_has_the_recipes_too(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    recipes = {f"recipes/{name}" for name in ("guide.md", "quickstart.yaml", "downstream/tickets/heads.py")}
    assert {"pyproject.toml", "README.md", "LICENSE", "hf_mtl/drafting/quickstart.yaml", *recipes} <= names


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_quickstart_runs_from_what_is_installed_alone(built: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment, by a path: they are gigabytes."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=os.name != "nt")
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # Behind the new environment's own; a path that is added so brings no .pth files with it, as of editable installs.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    [wheel] = built.glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    assert str(tmp_path / "venv") in run(python, "-c", "import hf_mtl; print(hf_mtl.__file__)")
    command = str(scripts / "hf-mtl")
    run(command, "init", "--quickstart")
    short = ["training.max_steps=20", "training.eval_steps=10", "training.save_steps=10"]
    said = run(command, "train", "quickstart.yaml", "--test", *short)
    assert "The model is in runs/quickstart." in said
    results = json.loads((tmp_path / "runs" / "quickstart" / "results.json").read_text())
    assert results["tasks"].keys() == {"topic", "sentiment", "urgency"}
