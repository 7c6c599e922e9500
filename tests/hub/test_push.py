import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiny
from tests.hub import world
from tests.hub.repositories import Repo
from tests.hub.stub import serve

MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
BESIDE = {"manifest.json", "README.md", "recipe.yaml", "data.json", "results.json", "figures/training.png"}

PUSH_AND_PULL = """
import torch
from hf_mtl import MultiTaskModel
from tests import tiny

torch.manual_seed(0)
batch = tiny.tokenizer()(tiny.rows("topic", 9)["text"][:], padding=True, return_tensors="pt")
model = tiny.model().eval()
model.set_statistics("score", mean=[1.0, 2.0], std=[3.0, 4.0])
model.push_to_hub("user/model")
pulled = MultiTaskModel.from_pretrained("user/model").eval()
with torch.no_grad():
    here, there = model(**batch).logits, pulled(**batch).logits
assert list(here) == list(there) == list(tiny.TASKS)
assert all(torch.equal(here[task], there[task]) for task in here)
"""

PULL = """
import sys
import torch
from hf_mtl import MultiTaskModel
from transformers import AutoTokenizer

revision, local = sys.argv[1:]
pulled = MultiTaskModel.from_pretrained("user/made", revision=revision).eval()
tokenizer = AutoTokenizer.from_pretrained("user/made", revision=revision)
batch = tokenizer(["w1 w2", "w3"], padding=True, return_tensors="pt")
here = MultiTaskModel.from_pretrained(local).eval()
with torch.no_grad():
    assert torch.equal(here(**batch).logits["score"], pulled(**batch).logits["score"])
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[world.Machine]:
    """A machine beside an empty Hub of its own."""
    with serve() as hub:
        yield world.Machine(hub, tmp_path / "home", tmp_path / "cwd")


def test_a_model_that_is_pushed_and_pulled_has_the_same_logits_to_the_bit(machine: world.Machine) -> None:
    done = machine.python("-c", PUSH_AND_PULL)
    assert done.returncode == 0, done.stderr
    assert {"config.json", "model.safetensors"} <= set(machine.hub.repos["models/user/model"].files)
    assert not machine.hub.unknown
    assert world.TOKEN not in done.stdout + done.stderr


def local_recipe(folder: Path, **training: object) -> Path:
    """A backbone folder, data files and an output folder, all by their paths on this machine, and a token."""
    (folder / "data").mkdir(parents=True)
    content = world.small_recipe("json", "../bert", save_steps=2, push_to_hub=True, hub_model_id="user/made")
    for split, seed in (("train", 0), ("validation", 1)):
        tiny.rows("score", 20, seed).to_json(str(folder / "data" / f"{split}.jsonl"))
    files = {"train": "data/train.jsonl", "validation": "data/validation.jsonl"}
    content["tasks"]["score"]["dataset"]["data_files"] = files
    content["training"] |= {"max_steps": 4, "hub_token": world.TOKEN, **training}
    return world.write(folder, content)


def push(machine: world.Machine, folder: Path, **training: object) -> Repo:
    """Train with a push at every save; the Hub must only know what others may know."""
    world.save_backbone(folder / "bert")
    done = machine.train(local_recipe(folder / "recipe", **training), folder / "out")
    assert done.returncode == 0, done.stderr
    assert "not pushed" not in done.stderr
    assert not machine.hub.unknown
    assert world.TOKEN not in done.stdout + done.stderr
    kept = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert not [path for path in kept if world.TOKEN.encode() in path.read_bytes()]
    assert not (folder / "out" / ".hf_mtl").exists()
    repo = machine.hub.repos["models/user/made"]
    for path, content in repo.ever:
        assert world.TOKEN.encode() not in content, path
        assert str(folder).encode() not in content, path
    return repo


def pull(machine: world.Machine, repo: Repo, title: str, local: Path) -> None:
    """Load what a commit left at the root, and compare with a local model."""
    revision = list(repo.commits)[repo.titles.index(title)]
    done = machine.python("-c", PULL, revision, str(local))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_save_pushes_a_complete_model(machine: world.Machine, tmp_path: Path) -> None:
    repo = push(machine, tmp_path, hub_strategy="every_save", hub_always_push=True)
    assert [title for title in repo.titles if title] == [
        "Training in progress, step 2",
        "Training in progress, step 4",
        "End of training",
    ]
    first = list(repo.commits.values())[repo.titles.index("Training in progress, step 2")]
    assert set(first) == MODEL | {"training_args.bin"}
    assert set(repo.files) == MODEL | {"training_args.bin"} | BESIDE
    pull(machine, repo, "Training in progress, step 2", tmp_path / "out" / "checkpoint-2")
    pull(machine, repo, "End of training", tmp_path / "out")
    before = len(machine.hub.requests)
    for command in (["plan", str(tmp_path / "recipe" / "recipe.yaml")], ["evaluate", str(tmp_path / "out")]):
        done = machine.python("-m", "hf_mtl", *command)
        assert done.returncode == 0, done.stderr
    assert not [request for request in machine.hub.requests[before:] if request.startswith("POST")]


@pytest.mark.slow
def test_a_pushed_checkpoint_can_be_resumed_elsewhere(machine: world.Machine, tmp_path: Path) -> None:
    repo = push(
        machine,
        tmp_path,
        hub_strategy="checkpoint",
        hub_always_push=True,
        save_total_limit=1,
        eval_strategy="steps",
        eval_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="average",
    )
    assert set(repo.files) >= MODEL | {"README.md"}
    elsewhere = tmp_path / "elsewhere" / "checkpoint-4"
    for path, content in repo.files.items():
        if path.startswith("last-checkpoint/"):
            target = elsewhere / path.removeprefix("last-checkpoint/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    state = json.loads((elsewhere / "trainer_state.json").read_text())
    assert state["best_global_step"] in (2, 4)
    recipe = tmp_path / "recipe" / "recipe.yaml"
    done = machine.train(recipe, elsewhere.parent, "--resume", "training.max_steps=6", "training.push_to_hub=false")
    assert done.returncode == 0, done.stderr
    assert json.loads((elsewhere.parent / "results.json").read_text())["step"] == 6


@pytest.mark.slow
def test_a_refused_push_is_said_before_anything_is_trained(machine: world.Machine, tmp_path: Path) -> None:
    world.save_backbone(tmp_path / "bert")
    path = local_recipe(tmp_path / "recipe", hub_model_id="stranger/made")
    (text,) = machine.fail(path)
    assert re.search(r"recipe\.yaml:\d+: training\.push_to_hub: cannot push to 'stranger/made': 403", text)
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_run_that_the_hub_stops_taking_is_kept_and_pushed_later(machine: world.Machine, tmp_path: Path) -> None:
    world.save_backbone(tmp_path / "bert")
    path, out = local_recipe(tmp_path / "recipe", hub_strategy="checkpoint", hub_always_push=True), tmp_path / "out"
    machine.hub.refused = "POST .*/commit/.*"
    done = machine.train(path, out)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "\nvalidation\n" in done.stdout
    assert done.stderr.count("A checkpoint was not pushed to user/made: 403 Forbidden") == 1
    assert "4 pushes of checkpoints to user/made failed." in done.stderr
    assert f"{out} is trained, scored and kept, but it is not pushed to 'user/made': 403 Forbidden" in done.stderr
    assert machine.hub.repos["models/user/made"].files == {}
    kept = (out / "results.json").read_bytes()

    machine.hub.refused = ""
    done = machine.train(path, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert f"{out} is finished; nothing to resume." in done.stderr
    repo = machine.hub.repos["models/user/made"]
    assert set(repo.files) == MODEL | {"training_args.bin"} | BESIDE
    assert [title for title in repo.titles if title] == ["End of training"]
    assert (out / "results.json").read_bytes() == kept
    assert not (out / "outbox").exists()
    pull(machine, repo, "End of training", out)
    assert world.TOKEN not in done.stdout + done.stderr
    for name, content in repo.ever:
        assert world.TOKEN.encode() not in content, name
        assert str(tmp_path).encode() not in content, name
    before = len(machine.hub.requests)
    assert machine.train(path, out, "--resume").returncode == 0
    assert len(machine.hub.requests) == before, "what is pushed is not pushed again"


@pytest.mark.slow
def test_of_two_processes_one_pushes_and_says_that_it_could_not(machine: world.Machine, tmp_path: Path) -> None:
    world.save_backbone(tmp_path / "bert")
    path, out = local_recipe(tmp_path / "recipe", hub_strategy="end"), tmp_path / "out"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, "-m", "hf_mtl", "train", str(path), f"training.output_dir={out}"]
    machine.hub.refused = "POST .*/commit/.*"
    done = machine.python(*command)
    assert done.returncode == 1  # torchrun's own
    assert done.stderr.count("hf-mtl train: ") == 1
    assert f"{out} is trained, scored and kept, but it is not pushed" in done.stderr
    assert re.search(r"exitcode *: 3 ", done.stderr)
    assert done.stdout.count("\nvalidation\n") == 1
    machine.hub.refused = ""
    again = machine.python(*command, "--resume")
    assert again.returncode == 0, again.stderr
    assert [title for title in machine.hub.repos["models/user/made"].titles if title] == ["End of training"]
