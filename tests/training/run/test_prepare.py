from pathlib import Path

import pytest
from datasets import Dataset

from hf_mtl.errors import UserError
from tests import tiny
from tests.training import runs


@pytest.fixture
def tokens_only(tmp_path: Path) -> list[str]:
    """Overrides of the recipe: one task, whose rows are padded token ids; a row of test is longer than the others."""
    tokenizer = tiny.tokenizer()
    tokenizer.save_pretrained(tmp_path / "words")
    files = {}
    for split in ("train", "validation", "test"):
        texts = tiny.rows("mood", 16).to_dict()
        texts["text"][0] = " ".join(["w1"] * (30 if split == "test" else 20))
        rows = Dataset.from_dict(texts)
        options = {"padding": "max_length", "max_length": 32, "truncation": True}
        padded = rows.map(lambda row, options=options: tokenizer(row["text"], **options), remove_columns=["text"])
        files[split] = str(tmp_path / f"{split}.parquet")
        padded.to_parquet(files[split])
    dataset = f"tasks.mood.dataset={{path: parquet, data_files: {files}}}"
    others = ["tasks.topic=", "tasks.score=", "mixture={anneal: null}", "training.max_steps=1"]
    return [*others, dataset, f"model.tokenizer={tmp_path / 'words'}"]


def test_rows_to_test_are_looked_at_before_training(recipe: Path, tmp_path: Path, tokens_only: list[str]) -> None:
    said = "tasks.mood.text: test has 1 row of more than 24 token ids: row 0"
    with pytest.raises(UserError, match=said):
        runs.train(recipe, tmp_path / "run", *tokens_only, test=True)
    assert not (tmp_path / "run").exists()


def test_baselines_need_texts(recipe: Path, tmp_path: Path, tokens_only: list[str]) -> None:
    with pytest.raises(UserError, match="--baselines: reads texts, and the rows of mood are token ids; leave it out"):
        runs.train(recipe, tmp_path / "run", *tokens_only, baselines=True)
    assert not (tmp_path / "run").exists()
    limit = "model.max_length=32"  # of the longest row
    assert runs.train(recipe, tmp_path / "run", *tokens_only, limit)["tasks"]["mood"]
