"""What of a run goes to the Hub, from its folder, a checkpoint and a joined model; and what others do with it."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError

from hf_mtl import MultiTaskModel, join_runs
from hf_mtl.errors import CheckpointError, NotPushedError, RunError
from hf_mtl.inference.manifest import MODEL_CONFIG, verify
from hf_mtl.training import evaluate_run, push_run
from hf_mtl.training.folder.machine import read_machine, write_machine
from hf_mtl.training.run import card_facts
from hf_mtl.training.saving import upload
from tests import tiny
from tests.hub import world as hub_world
from tests.training import runs

BESIDE = {"README.md", "recipe.yaml", "results.json", "data.json", "figures/training.png"}


class FakeHub:
    """Keeps what is pushed in a folder, and fails as it is told."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.there: list[str] = []
        self.deleted: set[str] = set()
        self.asked: list[Any] = []
        self.error: Exception | None = None

    def create_repo(self, name: str, private: bool | None, exist_ok: bool) -> SimpleNamespace:
        self.asked.append(("repo", name, private))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(repo_id=name)

    def create_branch(self, repo: str, branch: str, exist_ok: bool) -> None:
        self.asked.append(("branch", branch))

    def list_repo_files(self, repo: str, revision: str | None) -> list[str]:
        return self.there

    def dataset_info(self, name: str) -> None:
        raise OSError("no such page")

    def create_commit(self, repo: str, operations: list[Any], **options: Any) -> CommitInfo:
        for item in operations:
            if isinstance(item, CommitOperationDelete):
                self.deleted.add(item.path_in_repo)
                continue
            assert isinstance(item, CommitOperationAdd)
            content, path = item.path_or_fileobj, self.folder / item.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else Path(str(content)).read_bytes())
        return CommitInfo(
            commit_url="https://huggingface.co/user/run/commit/0", commit_message="", commit_description="", oid="0"
        )

    @property
    def names(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    found = FakeHub(tmp_path / "pushed")
    for module in (upload, card_facts):
        monkeypatch.setattr(module, "HfApi", lambda token: found)
    return found


def test_a_run_is_pushed_with_what_others_need_and_nothing_else(world: Path, finished: Path, fake: FakeHub) -> None:
    before = runs.content(finished)
    address = push_run(finished, "user/run", private=True, revision="early")
    assert address == "https://huggingface.co/user/run/commit/0"
    assert fake.asked == [("repo", "user/run", True), ("branch", "early")]
    assert fake.names == runs.MODEL | BESIDE
    assert runs.content(finished) == before
    verify(fake.folder, needs=MODEL_CONFIG)
    for path in fake.folder.rglob("*"):
        assert path.is_dir() or str(world).encode() not in path.read_bytes(), path
    text = (fake.folder / "README.md").read_text()
    assert "## Scores" in text
    assert "](figures/training.png)" in text
    assert read_machine(finished)["versions"]["torch"] in text


def test_what_was_pushed_is_scored_again_on_the_same_files(world: Path, finished: Path, fake: FakeHub) -> None:
    push_run(finished, "user/run")
    recipe = yaml.safe_load((world / "recipe.yaml").read_text())
    files = {name: task["dataset"]["data_files"] for name, task in recipe["tasks"].items()}
    words = [
        f"tasks.{name}.dataset.data_files.{split}={world / file}"
        for name, parts in files.items()
        for split, file in parts.items()
    ]
    assert evaluate_run(fake.folder, words)["tasks"] == runs.results(finished)["tasks"]


def test_of_a_checkpoint_the_model_is_pushed_with_its_own_scores(finished: Path, fake: FakeHub) -> None:
    push_run(finished / "checkpoint-5", "user/run")
    assert fake.names == runs.MODEL | {"README.md", "recipe.yaml", "data.json"}
    verify(fake.folder, needs=MODEL_CONFIG)
    here, there = (MultiTaskModel.from_pretrained(path) for path in (fake.folder, finished / "checkpoint-5"))
    assert all(value.equal(there.state_dict()[name]) for name, value in here.state_dict().items())
    text = (fake.folder / "README.md").read_text()
    log = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    scored = next((item for item in log if item["step"] == 5 and "eval_average" in item), None)
    assert ("## Scores" in text) == (scored is not None)
    assert scored is None or f"**{scored['eval_average']:.4f}**" in text


def test_a_model_that_replaces_another_leaves_nothing_of_it_beside(finished: Path, fake: FakeHub) -> None:
    stale = {"model-00001-of-00002.safetensors", "model.safetensors.index.json", ".eval_results/hf_mtl.yaml"}
    fake.there = [*stale, "model.safetensors", "notes.md", "last-checkpoint/model-00001-of-00002.safetensors"]
    push_run(finished, "user/run")
    assert fake.deleted == stale


def test_a_joined_model_is_pushed_with_what_is_known_of_it(tmp_path: Path, fake: FakeHub) -> None:
    hub_world.save_backbone(tmp_path / "bert")
    for name in ("mood", "topic"):
        model = MultiTaskModel.from_backbone(tmp_path / "bert", {name: tiny.TASKS[name]}, freeze="encoder")
        model.save_pretrained(tmp_path / name)
        tiny.tokenizer().save_pretrained(tmp_path / name)
    join_runs([tmp_path / "mood", tmp_path / "topic"], tmp_path / "both")
    for place in ("both", "mood"):  # the second was written with save_pretrained alone
        push_run(tmp_path / place, "user/both")
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= fake.names
    assert "recipe.yaml" not in fake.names


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, RunError, "the Hub answers 401: no right to write there). Log in with `hf auth login`, with a token"),
        (403, RunError, "the Hub answers 403"),
        (500, NotPushedError, "nothing here has changed; do the same again"),
        (None, NotPushedError, "cannot push to 'user/run': no way. A revision is there whole or not at all"),
    ],
)
def test_a_hub_that_refuses_is_one_message(
    finished: Path, fake: FakeHub, status: int | None, kind: type[RunError], said: str
) -> None:
    if status is None:
        fake.error = OSError("no way")
    else:
        fake.error = HfHubHTTPError.__new__(HfHubHTTPError, "no")
        fake.error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    with pytest.raises(kind, match=re.escape(said)) as caught:
        push_run(finished, "user/run")
    assert caught.value.exit_code == (2 if kind is RunError else 3)
    assert "\n" not in str(caught.value)
    assert fake.names == set()


def test_what_is_no_whole_model_is_refused_before_the_hub_is_asked(finished: Path, fake: FakeHub) -> None:
    (finished / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged"):
        push_run(finished, "user/run")
    with pytest.raises(RunError, match="no such file or folder"):
        push_run(finished / "nothing" / "here", "user/run")
    assert fake.asked == []


def test_runs_of_one_task_alone_stand_beside_or_are_refused(world: Path, tmp_path: Path, fake: FakeHub) -> None:
    recipe = yaml.safe_load((world / "recipe.yaml").read_text())
    recipe["tasks"] = {"mood": recipe["tasks"]["mood"]}
    data = recipe["tasks"]["mood"]["dataset"]["data_files"]
    recipe["tasks"]["mood"]["dataset"]["data_files"] = {split: str(world / file) for split, file in data.items()}
    path = tmp_path / "alone.yaml"
    path.write_text(yaml.safe_dump(recipe))
    alone = runs.train(path, tmp_path / "alone", "training.max_steps=2")
    push_run(world / "run", "user/run", single=[tmp_path / "alone"])
    text = (fake.folder / "README.md").read_text()
    key = next(iter(alone["tasks"]["mood"]))
    assert "| this task alone |" in text
    score = runs.results(world / "run")["tasks"]["mood"][key]
    assert f"| `mood` | `{key}` | **{score:.4f}** | {alone['tasks']['mood'][key]:.4f} |" in text
    other = Path(shutil.copytree(tmp_path / "alone", tmp_path / "other"))
    kept = json.loads((other / "data.json").read_text())
    kept["tasks"]["mood"]["validation"]["content"] = "0" * 32
    (other / "data.json").write_text(json.dumps(kept))
    with pytest.raises(RunError, match="--single: .*other was scored on other validation rows of 'mood'"):
        push_run(world / "run", "user/run", single=[other])
    with pytest.raises(RunError, match="--single: .*run has scores of .*Give the folder of a finished run"):
        push_run(world / "run", "user/run", single=[world / "run"])


def test_the_processes_that_trained_a_run_are_counted_and_a_damaged_note_is_none(finished: Path) -> None:
    found = read_machine(finished)
    assert found["begun"] == 1
    assert set(found["versions"]) >= {"hf_mtl", "python", "torch", "transformers"}
    write_machine(finished, {"hardware": "CPU", "processes": 2, "versions": {}})
    assert read_machine(finished) == {"hardware": "CPU", "processes": 2, "versions": {}, "begun": 2}
    for damage in ("{", "[]", '{"begun": "x"}'):
        (finished / "machine.json").write_text(damage)
        assert read_machine(finished) == {}
