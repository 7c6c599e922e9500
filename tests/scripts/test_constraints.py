"""What `scripts/test` installs is what pyproject.toml allows: the lowest of it, and the newest."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / "scripts" / name).read_text().splitlines()
    given = [line.split("==") for line in lines if not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", package).lower(): Version(version) for package, version in given}


def bounds() -> dict[str, Version]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    found: dict[str, Version] = {}
    for one in asked:
        for part in one.specifier:
            name = re.sub(r"[-_.]+", "-", one.name).lower()
            assert found.setdefault(name, Version(part.version)) == Version(part.version), f"{name}: two bounds"
    return found


def test_the_lowest_pins_are_the_bounds() -> None:
    lowest, asked = pins("constraints-lowest.txt"), bounds()
    assert asked.pop("torch") <= lowest["torch"]  # as the file says
    assert {name: lowest[name] for name in asked} == asked


def test_the_newest_pins_are_above_the_bounds() -> None:
    newest = pins("constraints.txt")
    assert {name: bound for name, bound in bounds().items() if newest[name] < bound} == {}
