"""A push that breaks off at any of its requests leaves no half revision, and can be repeated."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiny
from tests.hub import interrupting, world
from tests.hub.stub import serve

LOST = ("reset", "hang", "500")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[world.Machine]:
    """A machine beside an empty Hub of its own, and a model in ``model``."""
    tiny.model().save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    with serve() as hub:
        yield world.Machine(hub, tmp_path / "home", tmp_path / "cwd")


@pytest.mark.slow
def test_a_push_that_breaks_off_anywhere_leaves_nothing_half_and_goes_on(
    machine: world.Machine, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    done = machine.python("-m", "tests.hub.interrupting", str(tmp_path / "model"), *interrupting.KINDS)
    assert done.returncode == 0, done.stderr
    whole = {*(path.name for path in before), "README.md"}
    said = json.loads(done.stdout.splitlines()[-1])
    for kind, place, (code, text), files, again in said:
        case = (kind, place, text)
        assert files is None or set(files) in (set(), whole), case
        of_store = "Error while uploading" in text
        assert code in ((0, 2) if kind in ("401", "403") and not of_store else (0, 3)), case
        assert code == 0 or text.count("\n") == 0, case
        if code == 3:
            assert re.match(rf"cannot push to 'user/{kind}-{place}': .*do the same again\.?$", text), case
        if code == 2:
            assert f"the Hub answers {kind}" in text, case
            assert "Log in with `hf auth login`, with a token that may write" in text, case
        assert again == [0, ""], case
        repo = machine.hub.repos[f"models/user/{kind}-{place}"]
        assert set(repo.files) == whole, case
        assert repo.files["model.safetensors"] == before[tmp_path / "model" / "model.safetensors"]
        # What was done and not heard of is not done twice.
        assert len([title for title in repo.titles if title]) == 1, case
    for kind in interrupting.KINDS:
        assert len([item for item in said if item[0] == kind]) >= 8  # requests, each of which was struck
    assert {path: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert world.TOKEN not in done.stdout + done.stderr
    assert not machine.hub.unknown
