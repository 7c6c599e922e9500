"""The card that a Trainer writes of a run without a recipe, and what it pushes with it."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from hf_mtl.errors import RunError
from hf_mtl.training.saving import hub
from tests.training.trainers import make


@pytest.mark.parametrize("rows", [None, 3])
def test_a_card_tells_what_a_trainer_knows(tmp_path: Path, rows: int | None) -> None:
    trainer = make(tmp_path, per_device_eval_batch_size=rows, hub_model_id="user/model")
    trainer.create_model_card(license="mit", language="en", tags="support")
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.license, card.data.language, "support" in card.data.tags) == ("mit", "en", True)
    assert not {"## Scores", "## Training"} & set(card.text.splitlines())
    assert "runs" not in card.text, "it is no joined model"
    trainer.train()
    trainer.evaluate()
    trainer.create_model_card()
    text = (tmp_path / "README.md").read_text("utf-8")
    card = ModelCard.load(tmp_path / "README.md")
    assert [result.task_name.partition(": ")[2] for result in card.data.eval_results or ()]
    for part in (
        "## Tasks",
        "## Scores",
        "## Training",
        "optimizer steps",
        "Losses were weighted by `ew`",
        "Hardware",
    ):
        assert part in text, part
    assert str(tmp_path) not in text
    with pytest.raises(
        RunError, match="licence: is nothing that a card has. Known: .*license.* Did you mean 'license'"
    ):
        trainer.create_model_card(licence="mit")


def test_a_trainer_pushes_what_belongs_and_leaves_its_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(tmp_path, hub_model_id="user/model")
    trainer.train()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    taken: list[Any] = []

    def take(files: Any, to: Any, message: str, blocking: bool) -> str:
        assert all(path.is_file() for path in files.values())
        taken.append((sorted(files), to.repo, to.revision, message, blocking))
        return "done"

    monkeypatch.setattr(hub, "upload", take)
    monkeypatch.setattr(hub.Destination, "make", lambda self: self.repo)
    assert trainer.push_to_hub(revision="early", tags=["x"]) == "done"
    names = ["README.md", "config.json", "manifest.json", "model.safetensors"]
    files, *rest = taken[0]
    assert set(names) <= set(files)
    assert not [name for name in files if "optimizer" in name or "state" in name]
    assert rest == ["user/model", "early", "End of training", True]
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
