"""What follows when results are kept: figures and the Hub, which cannot undo a run."""

import json
import pickle
import shutil
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import CommitInfo, CommitOperationAdd
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from hf_mtl.errors import NotPushedError, RunError
from hf_mtl.reporting import drawn
from hf_mtl.training.folder import run_lock
from hf_mtl.training.run import card_facts, closing, push, reports
from hf_mtl.training.run import finished as ended
from hf_mtl.training.saving import hub, outbox, upload
from tests.training import runs

SHORT = ("training.max_steps=2", "training.save_steps=2", "training.eval_steps=2")
PUSH = (*SHORT, "training.push_to_hub=true", "training.hub_strategy=end")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is warned of at a run's end."""
    found: list[str] = []
    for logger in (ended.logger, closing.logger, drawn.logger, hub.logger, push.logger, reports.logger):
        monkeypatch.setattr(logger, "warning", found.append)
    return found


# ---- Figures ----


def test_results_are_kept_and_given_before_anything_is_drawn(recipe: Path, tmp_path: Path) -> None:
    folder, seen = tmp_path / "run", []

    def look(results: dict[str, Any]) -> None:
        seen.append((results == runs.results(folder), (folder / "figures").exists()))

    runs.train(recipe, folder, *SHORT, on_results=look)
    assert seen == [(True, False)]
    assert (folder / "figures" / "training.png").exists()


def full_disk(folder: Path, patch: pytest.MonkeyPatch) -> str:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr("matplotlib.figure.Figure.savefig", fail)
    return "No space left on device"


def no_matplotlib(folder: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setitem(sys.modules, "matplotlib.figure", None)
    return "import of matplotlib.figure halted"


def damaged_log(folder: Path, patch: pytest.MonkeyPatch) -> str:
    def read(path: Path) -> None:
        raise ValueError("damaged\nsecond line")

    patch.setattr(closing, "read_jsonl", read)
    return f"Nothing was drawn in {folder / 'figures'}: damaged."


@pytest.mark.parametrize("hinder", [full_disk, no_matplotlib, damaged_log])
def test_a_figure_that_cannot_be_drawn_is_a_warning(
    finished: Path, recipe: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, hinder: Any
) -> None:
    shutil.rmtree(finished / "figures")
    with monkeypatch.context() as patch:
        reason = hinder(finished, patch)
        assert runs.train(recipe, finished, resume=True) == runs.results(finished)
    (text,) = [text for text in said if "drawn" in text]
    assert reason in text
    assert str(finished / "figures") in text


def test_a_finished_run_that_may_only_be_read_gives_its_results_without_figures(
    finished: Path, recipe: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(30, "Read-only file system")

    shutil.rmtree(finished / "figures")
    monkeypatch.setattr(run_lock, "_take_some_lock", refuse)
    assert runs.train(recipe, finished, resume=True) == runs.results(finished)
    assert said[-1].startswith("Its figures were not drawn: training.output_dir: ")


def test_a_finished_run_gets_the_figures_that_it_lacks(
    finished: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, marked = runs.content(finished), []
    draw = closing.training_figure

    def marking(path: Path, records: list[dict[str, Any]], kept: int) -> None:
        marked.append(kept)
        draw(path, records, kept)

    monkeypatch.setattr(closing, "training_figure", marking)
    (finished / "figures" / "training.png").unlink()
    runs.train(recipe, finished, resume=True)
    assert marked == [runs.results(finished)["step"]]
    after = runs.content(finished)
    assert after.keys() == before.keys()
    assert after["figures/training.png"] == before["figures/training.png"]  # as it was drawn at the run's end
    (finished / "figures" / "training.png").write_bytes(b"mine")
    runs.train(recipe, finished, resume=True)
    assert (finished / "figures" / "training.png").read_bytes() == b"mine"


# ---- The Hub ----


def begin(trainer: Any) -> None:
    """What the Trainer does when it has made a repository."""
    trainer.hub_model_id, trainer.push_in_progress = "user/run", None


class FakeHub:
    """Takes what is pushed, or fails as it is told."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.error: Exception | None = None
        self.pushed: list[tuple[str, set[str]]] = []
        self.read: list[str] = []
        for module in (upload, card_facts):
            patch.setattr(module, "HfApi", lambda token: self)
        patch.setattr(hub, "upload_folder", self.take)
        patch.setattr("transformers.trainer.Trainer.init_hf_repo", begin)

    def create_repo(self, name: str, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(repo_id=f"user/{name}")

    def list_repo_files(self, repo: str, **options: Any) -> list[str]:
        return []

    def create_commit(self, repo: str, operations: list[CommitOperationAdd], **options: Any) -> CommitInfo:
        if self.error is not None:
            raise self.error
        files = {item.path_in_repo: item.path_or_fileobj for item in operations}
        self.pushed.append((repo, set(files)))
        self.read.append(bytes(files.get("README.md", b"")).decode())
        return CommitInfo(
            commit_url="https://huggingface.co/user/run/commit/0", commit_message="", commit_description="", oid="0"
        )

    def take(self, repo_id: str, folder_path: Path, **options: Any) -> None:
        if self.error is not None:
            raise self.error
        self.pushed.append((repo_id, {path.name for path in folder_path.rglob("*") if path.is_file()}))
        self.read.append((folder_path / "README.md").read_text())


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    return FakeHub(monkeypatch)


def test_a_push_that_fails_leaves_a_finished_run_that_can_be_pushed_again(
    recipe: Path, tmp_path: Path, fake: FakeHub, said: list[str]
) -> None:
    folder = tmp_path / "run"
    given: list[dict[str, Any]] = []
    fake.error = RuntimeError("the Hub\nis down")
    with pytest.raises(
        NotPushedError, match="is trained, scored and kept, but it is not pushed to 'run': the Hub. "
    ) as no:
        runs.train(recipe, folder, *PUSH, on_results=given.append)
    assert no.value.exit_code == 3
    assert "the same again with --resume (in Python: resume=True)" in str(no.value)
    assert given == [no.value.results] == [runs.results(folder)]
    assert pickle.loads(pickle.dumps(no.value)).results == given[0]
    assert (folder / "figures" / "training.png").exists()
    before = runs.content(folder)

    fake.error = OSError()
    with pytest.raises(NotPushedError, match="'me/other': OSError"):
        runs.train(recipe, folder, *PUSH, "training.hub_model_id=me/other", resume=True)
    fake.error = None
    assert runs.train(recipe, folder, *SHORT, resume=True) == given[0]
    assert fake.pushed == [], "nobody asked for a push"
    del said[:]
    assert runs.train(recipe, folder, *PUSH, "training.hub_model_id=me/other", resume=True) == given[0]
    assert said == [f"{folder} is finished; nothing to resume."]
    beside = {"README.md", "recipe.yaml", "results.json", "data.json", "figures/training.png"}
    assert fake.pushed == [("user/me/other", runs.MODEL | beside)]
    assert "# other\n" in fake.read[0]
    after = {name: content for name, content in before.items() if not name.startswith(".hf_mtl/")}
    assert runs.content(folder) == after
    assert not (folder / ".hf_mtl").exists()
    runs.train(recipe, folder, *PUSH, resume=True)
    assert len(fake.pushed) == 1


def test_a_run_killed_before_its_push_is_pushed_when_it_is_resumed(
    recipe: Path, tmp_path: Path, fake: FakeHub
) -> None:
    folder = tmp_path / "run"

    def kill(results: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.train(recipe, folder, *PUSH, on_results=kill)
    assert (fake.pushed, (folder / "figures").exists()) == ([], False)
    runs.train(recipe, folder, *PUSH, resume=True)
    assert (len(fake.pushed), (folder / "figures").exists()) == (1, True)


@pytest.mark.parametrize("error", [OSError("no\nway"), ValueError("no"), TypeError("no: null")])
def test_a_repository_that_cannot_be_made_is_a_mistake_before_training(
    recipe: Path, tmp_path: Path, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(trainer: Any) -> None:
        raise error

    monkeypatch.setattr("transformers.trainer.Trainer.init_hf_repo", fail)
    with pytest.raises(RunError, match="training.push_to_hub: cannot push to 'run': no"):
        runs.train(recipe, tmp_path / "run", *PUSH)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_replaced_before_its_push_is_not_pushed(recipe: Path, tmp_path: Path, fake: FakeHub) -> None:
    fake.error = OSError("no answer")
    with pytest.raises(NotPushedError):
        runs.train(recipe, tmp_path / "run", *PUSH)
    fake.error = None
    runs.train(recipe, tmp_path / "run", *SHORT, overwrite=True)
    runs.train(recipe, tmp_path / "run", *PUSH, resume=True)
    assert fake.pushed == []


def test_pushes_of_checkpoints_that_fail_end_no_training(
    recipe: Path, tmp_path: Path, fake: FakeHub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hub, "pack", no_link)
        words = ("training.push_to_hub=true", "training.hub_strategy=all_checkpoints", "training.max_steps=15")
        runs.train(recipe, tmp_path / "run", *words)
    assert [text for text in said if "push" in text] == [
        "A checkpoint was not pushed to user/run: [Errno 28] No space left on device. Training goes on.",
        "3 pushes of checkpoints to user/run failed.",
    ]
    assert len(fake.pushed) == 1, "the model itself is pushed"


def test_results_do_not_wait_for_pushes_of_checkpoints(
    recipe: Path, tmp_path: Path, fake: FakeHub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[Future[None]] = []

    def upload_later(**options: Any) -> "Future[None]":
        running.append(Future())
        return running[-1]

    def commit(*args: Any, **options: Any) -> CommitInfo:
        assert all(job.done() for job in running), "an older model would come after the final one"
        return FakeHub.create_commit(fake, *args, **options)

    def fail(results: dict[str, Any]) -> None:
        (job,) = running
        assert not job.done()
        job.set_exception(TimeoutError("no answer"))

    monkeypatch.setattr(hub, "upload_folder", upload_later)
    monkeypatch.setattr(fake, "create_commit", commit)
    runs.train(recipe, tmp_path / "run", *SHORT, "training.push_to_hub=true", on_results=fail)
    assert "A checkpoint was not pushed to user/run: no answer. Training goes on." in said
    assert len(fake.pushed) == 1
    assert not (tmp_path / "run" / "outbox").exists()


def test_a_card_that_cannot_be_written_keeps_no_model_back(
    recipe: Path, tmp_path: Path, fake: FakeHub, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise KeyError("eval_loss")

    monkeypatch.setattr(push, "model_card", fail)
    runs.train(recipe, tmp_path / "run", *PUSH)
    assert not outbox.waits(tmp_path / "run")
    assert "The card of the model could not be written: 'eval_loss'." in said
    assert len(fake.pushed) == 1


# ---- Reports ----


class Breaking(TrainerCallback):
    """A program that takes no report any more."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no answer")

    on_train_end = on_save = on_evaluate = on_log


class Refusing(Breaking):
    """A program that cannot be set up."""

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("not logged in")


def test_a_program_that_takes_no_report_ends_no_training(
    recipe: Path, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "tensorboard", Breaking)
    runs.train(recipe, tmp_path / "run", *SHORT, "training.report_to=tensorboard")
    assert json.loads((tmp_path / "run" / "results.json").read_text())["step"] == 2
    assert [text for text in said if "report_to" in text] == [
        "Breaking of report_to failed: no answer. Training goes on."
    ]


def test_a_program_that_cannot_be_set_up_is_said_before_training(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "tensorboard", Refusing)
    with pytest.raises(RunError, match=r"training\.report_to: Refusing cannot be set up: not logged in\."):
        runs.train(recipe, tmp_path / "run", *SHORT, "training.report_to=tensorboard")
    assert not (tmp_path / "run").exists()
