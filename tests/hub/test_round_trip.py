"""A run goes to the Hub and comes back on another machine, with an empty cache and no network but the Hub."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import world
from tests.hub.stub import serve

PULL = """
import json, sys, time
begin = time.perf_counter()
import torch
from transformers import AutoTokenizer
from hf_mtl import MultiTaskModel
from hf_mtl.modeling.frozen_encoder import digest

path = sys.argv[1]
imported = time.perf_counter()
model = MultiTaskModel.from_pretrained(path).eval()
loaded = time.perf_counter() - imported
batch = AutoTokenizer.from_pretrained(path)(["w1 w2", "w3"], padding=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**batch).logits
sums = {name: [value.hex() for value in logits[name].double().flatten().tolist()] for name in logits}
print(json.dumps({"weights": digest(model.state_dict()), "logits": sums, "seconds": loaded}))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[world.Hub]:
    with serve() as served:
        world.fill(served, tmp_path / "filled")
        yield served


def python(machine: world.Machine, *command: str) -> str:
    done = machine.python(*command)
    assert done.returncode == 0, done.stderr
    assert world.TOKEN not in done.stdout + done.stderr
    return done.stdout


def pull(machine: world.Machine, path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(python(machine, "-c", PULL, str(path)).splitlines()[-1])
    return found


def train(machine: world.Machine, folder: Path, **model: Any) -> Path:
    recipe = world.recipe(machine.hub, save_steps=3)
    recipe["model"] |= model
    done = machine.train(world.write(folder, recipe), folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("heads_only", [False, True])
def test_a_pushed_run_is_the_same_elsewhere(hub: world.Hub, tmp_path: Path, heads_only: bool) -> None:
    here = world.Machine(hub, tmp_path / "home", tmp_path / "cwd")
    model = {"freeze": "encoder", "save_heads_only": True} if heads_only else {}
    run = train(here, tmp_path / "one", **model)
    begin = time.perf_counter()
    python(here, "-m", "hf_mtl", "push", str(run), "user/made", "--private")
    python(here, "-m", "hf_mtl", "push", str(run / "checkpoint-3"), "user/made", "--revision", "early")
    pushed = time.perf_counter() - begin
    repo = hub.repos["models/user/made"]
    assert hub.private == ["models/user/made"]
    assert repo.heads["early"] != repo.heads["main"]
    if heads_only:  # what the Hub has today under the backbone's name is not what the heads were trained on
        world.save_backbone(tmp_path / "other", initializer_range=0.5)
        hub.add(f"models/{world.BACKBONE}", tmp_path / "other")

    local = pull(here, run)
    there = world.Machine(hub, tmp_path / "other-home", tmp_path / "other-cwd")
    pulled = pull(there, "user/made")
    assert (pulled["weights"], pulled["logits"]) == (local["weights"], local["logits"])
    scores = python(there, "-m", "hf_mtl", "evaluate", "user/made")
    assert scores == python(here, "-m", "hf_mtl", "evaluate", str(run))
    assert python(there, "-m", "hf_mtl", "evaluate", "user/made@early").startswith("\nvalidation\n")
    there.offline = True
    assert pull(there, "user/made")["weights"] == local["weights"]
    assert python(there, "-m", "hf_mtl", "evaluate", "user/made") == scores
    assert not hub.unknown
    size = len(repo.files["model.safetensors"])
    assert (size < 6000) == heads_only
    for root in (run, there.home, there.cwd, here.cwd):
        for path in root.rglob("*"):
            assert not path.is_file() or world.TOKEN.encode() not in path.read_bytes(), path
    for name, content in repo.ever:
        assert world.TOKEN.encode() not in content, name
        assert str(tmp_path).encode() not in content, name
    print(
        f"heads_only={heads_only}: model.safetensors {size:,} bytes, two pushes {pushed:.1f} s, "
        f"from_pretrained from the Hub {pulled['seconds']:.2f} s, from the folder {local['seconds']:.2f} s"
    )


@pytest.mark.slow
def test_heads_of_the_hub_are_joined_and_kept(hub: world.Hub, tmp_path: Path) -> None:
    machine = world.Machine(hub, tmp_path / "home", tmp_path / "cwd")
    run = train(machine, tmp_path / "one", freeze="encoder", save_heads_only=True)
    python(machine, "-m", "hf_mtl", "push", str(run), "user/first")
    other = world.Machine(hub, tmp_path / "home2", tmp_path / "cwd2")
    renamed = [word for name in ("topic", "mood", "score") for word in ("--rename", f"2:{name}={name}2")]
    join = ("-m", "hf_mtl", "join", "user/first")
    twice = other.python(*join, "user/first@main", *renamed, "-o", str(tmp_path / "both"))
    assert "user/first@main is one of the others by another name. Give each run once" in twice.stderr
    python(other, *join, str(run), *renamed, "-o", str(tmp_path / "both"))
    python(other, "-m", "hf_mtl", "push", str(tmp_path / "both"), "user/both")
    both = pull(other, "user/both")
    assert both["logits"]["mood"] == both["logits"]["mood2"] == pull(other, "user/first")["logits"]["mood"]
    assert len(hub.repos["models/user/both"].files["model.safetensors"]) < 12_000
