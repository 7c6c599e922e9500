from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import BertTokenizer, RobertaTokenizer, T5Tokenizer

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError
from hf_mtl.inference import token_notes
from hf_mtl.inference.encode import encode_splits
from tests import tiny
from tests.training import trainers


def encode(datasets: Any) -> dict[str, EncodedSplit]:
    return encode_splits(datasets, tiny.TASKS, tiny.tokenizer(), None, split="train")


def texts_of(known: int, unknown: int, rows: int = 4) -> Dataset:
    text = " ".join(["w1"] * known + ["strange"] * unknown)
    return Dataset.from_dict({"text": [text] * rows, "label": ["good", "bad"] * (rows // 2)})


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(token_notes.logger, "warning_once", found.append)
    return found


def test_the_share_of_unknown_tokens_is_said_per_task(said: list[str]) -> None:
    encode({"mood": texts_of(7, 1), "topic": tiny.rows("topic", 4)})
    assert said == ["mood: the tokenizer does not know 12.5% of the tokens of train."]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_task_whose_texts_are_mostly_unknown_is_refused(split: str) -> None:
    mostly = "tasks.mood.text: the tokenizer does not know 66.7% of the tokens of"
    with pytest.raises(DataError, match=f"{mostly} {split}. Give the tokenizer that belongs to the backbone"):
        encode_splits({"mood": texts_of(1, 2)}, tiny.TASKS, tiny.tokenizer(), None, split=split)
    assert encode({"mood": texts_of(2, 2)})


def test_rows_to_predict_may_be_unknown_and_that_is_said(said: list[str]) -> None:
    encode_splits({"mood": texts_of(0, 2)}, tiny.TASKS, tiny.tokenizer(), None, split="test")
    assert said == ["mood: the tokenizer does not know 100.0% of the tokens of test."]


@pytest.mark.parametrize("tokenizer", [BertTokenizer(), RobertaTokenizer(), T5Tokenizer()])
def test_a_vocabulary_that_was_made_up_is_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError) as caught:
        encode_splits(tiny.datasets({"mood": 5, "score": 5}), tiny.TASKS, tokenizer, None, split="train")
    assert [mistake.key for mistake in caught.value.mistakes] == ["tasks.mood.text", "tasks.score.text"]


def test_given_ids_that_end_in_padding_without_a_mask_are_told_of(said: list[str]) -> None:
    columns = {"input_ids": [[2, 7, 3, 0], [2, 7, 8, 3]], "label": ["good", "bad"]}
    masked = {**columns, "attention_mask": [[1, 1, 1, 0], [1, 1, 1, 1]]}
    assert encode({"mood": Dataset.from_dict(masked)})["mood"].tokens.lengths.tolist() == [3, 4]
    assert not said
    assert encode({"mood": Dataset.from_dict(columns)})["mood"].tokens.lengths.tolist() == [4, 4]
    assert said == [
        "mood: 1 of 2 train rows begin or end in the padding token (0), which is read as text, "
        "since they have no attention_mask."
    ]


def test_ids_in_place_of_a_column_that_was_named_are_told_of(said: list[str]) -> None:
    rows = {"mood": Dataset.from_dict({"input_ids": [[2, 7, 3]] * 2, "label": ["good", "bad"]})}
    named = {**tiny.TASKS, "mood": tiny.TASKS["mood"].model_copy(update={"text": ["body", "subject"]})}
    assert encode_splits(rows, named, tiny.tokenizer(), None, split="train")
    assert said == ["mood: train has input_ids and no column 'body' and 'subject'; the ids are read."]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_token_ids_train_and_predict_as_their_texts_do(tmp_path: Path, side: str) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.padding_side = side
    texts, padded = tiny.datasets(trainers.SMALL), {}
    for name, rows in texts.items():
        options = {"padding": "max_length", "max_length": 30}
        padded[name] = rows.map(lambda row, options=options: tokenizer(row["text"], **options))
        padded[name] = padded[name].remove_columns("text")
    found = []
    for data in (texts, padded):
        trainer = trainers.make(tmp_path, model=tiny.model(pooling="mean", head="linear"), train=data, max_steps=2)
        trainer.train()
        found.append(trainer.predict(data).predictions)
    for name in texts:
        assert np.array_equal(found[0][name], found[1][name])
