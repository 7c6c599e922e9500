"""Answers cut out of contexts: windows, losses, scores, and what a broken alignment could not learn."""

from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError

from hf_mtl import SpanExtraction
from hf_mtl.errors import DataError, ModelError
from hf_mtl.evaluation.metrics.squad import SquadExactMatch
from hf_mtl.tasks.layout import LaidOut
from tests import tiny
from tests.task_types.sample import Sample

KEYS = 12


def key_values(count: int, seed: int = 0, unanswered: float = 0.25, least: int = 3) -> Dataset:
    """Contexts of keys, each with a value of two words behind it; the question is a key, and its value the answer, if
    the context has it. Both words of a value are one of two that belong to its key.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {"question": [], "context": [], "answers": []}
    for _ in range(count):
        keys, length = random.permutation(KEYS), int(random.integers(least, KEYS))
        values = KEYS + 4 * keys[:, None] + np.array([0, 2]) + random.integers(0, 2, (KEYS, 2))
        shown = [f"w{key} w{first} w{last}" for key, (first, last) in zip(keys, values, strict=True)][:length]
        place = length if random.random() < unanswered else int(random.integers(length))
        columns["question"].append(f"w{keys[place]}")
        columns["context"].append(" ".join(shown))
        start = len(" ".join([*shown[:place], f"w{keys[place]}"])) + 1
        found = [] if place == length else [(shown[place].partition(" ")[2], start)]
        columns["answers"].append({"text": [text for text, _ in found], "answer_start": [at for _, at in found]})
    return Dataset.from_dict(columns)


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = []
    for row, places in zip(outputs, labels, strict=True):
        windows = []
        for window, ends in zip(row, places, strict=True):
            if ends[0] < 0:
                continue
            there = window[window[:, 0] > -1e20]
            logs = there - np.log(np.exp(there).sum(axis=0))
            windows.append(-(logs[ends[0], 0] + logs[ends[1], 1]) / 2)
        found.append(np.mean(windows))
    return np.array(found)


def nothing_everywhere(perfect: np.ndarray) -> np.ndarray:
    same = np.where(perfect > -1e20, 0, perfect)
    same[:, :, 0] = np.where(perfect[:, :, 0] > -1e20, 9, perfect[:, :, 0])
    return same


def right_answers(predicted: np.ndarray, references: np.ndarray) -> np.ndarray:
    texts = [
        row.context[slice(*row.characters(*place))] if place[1] else ""
        for row, place in zip(references, predicted.tolist(), strict=True)
    ]
    return np.array([text == (row.answers or [""])[0] for text, row in zip(texts, references, strict=True)])


SAMPLE = Sample(SpanExtraction(no_answer=True), key_values, sample_loss, nothing_everywhere, right_answers)


def test_the_task_says_what_keys_do_not_go_together() -> None:
    for threshold in (1.0, "tuned"):
        both = SpanExtraction(no_answer=False, null_threshold=threshold)
        with pytest.raises(ModelError, match=rf"tasks\.t\.null_threshold: {threshold}, and no_answer is false"):
            tiny.model(tasks={"t": both})
    for keys in (
        {"text": "context"},
        {"text": ["a", "b", "c"]},
        {"doc_stride": -1},
        {"max_answer_length": 0},
        {"max_question_length": 0},
        {"null_threshold": float("nan")},
        {"null_threshold": "tune"},
    ):
        with pytest.raises(ValidationError):
            SpanExtraction(**keys)  # type: ignore[arg-type]


def test_whether_questions_may_have_no_answer_is_found_in_the_training_rows() -> None:
    with_none, without_none = key_values(20), key_values(20, unanswered=0)
    assert SpanExtraction().resolve("t", {"train": with_none}).no_answer is True
    assert SpanExtraction().resolve("t", {"train": without_none, "validation": with_none}).no_answer is False
    assert SpanExtraction().resolve("t", {"validation": without_none}).no_answer is None
    assert SpanExtraction(no_answer=True).resolve("t", {"train": without_none}).no_answer is True
    with pytest.raises(DataError, match=r"tasks\.t\.null_threshold: tuned, and every training row has an answer"):
        SpanExtraction(null_threshold="tuned").resolve("t", {"train": without_none})
    asked = SpanExtraction(no_answer=False)
    with pytest.raises(DataError, match=r"tasks\.t\.no_answer: is false, and \d+ rows of validation have no answer"):
        asked.encode("t", "validation", with_none)
    assert asked.scored_apart == []


def test_token_ids_are_refused_with_what_to_give() -> None:
    rows = Dataset.from_dict({"input_ids": [[2, 3]], "answers": [{"text": [], "answer_start": []}]})
    with pytest.raises(DataError, match=r"tasks\.t\.text: train has token ids.*the columns question and context"):
        SpanExtraction().encode("t", "train", rows)


def test_train_rows_that_do_not_tell_of_no_answer_are_said() -> None:
    labels = np.array([[[0, 3]], [[-1, -1]]])
    assert SAMPLE.task.train_notes(labels) == []
    assert SAMPLE.task.train_notes(labels[:1])[0].startswith("every train row has an answer")
    assert SAMPLE.task.train_notes(labels[1:])[0].startswith("no train row has an answer")
    assert SpanExtraction(no_answer=False).train_notes(labels[:1]) == []


def laid(rows: Dataset, **keys: Any) -> LaidOut:
    task = SpanExtraction(no_answer=True, **keys)
    labels, _ = task.encode("t", "train", rows)
    return task.lay_out("t", "train", rows, labels, tiny.tokenizer(), None)


def test_what_was_cut_and_what_cannot_be_learned_is_said() -> None:
    words = [f"w{number}" for number in range(50)]
    context, long = " ".join(words), " ".join(words[10:48])
    rows = Dataset.from_dict(
        {
            "question": ["w1 " * 40, "w1", "w1"],
            "context": [context, context, "w1 w2"],
            "answers": [
                {"text": ["w9 w10"], "answer_start": [context.index("w9 w10")]},
                {"text": [long], "answer_start": [context.index(long)]},
                {"text": ["w1 w2"], "answer_start": [0]},
            ],
        }
    )
    found = laid(rows, max_answer_length=1)
    assert found.notes == [
        "t: 1 of 3 train rows have a question of more than 14 tokens, cut to that.",
        "t: 2 of 3 train rows are read in several windows, 10 in all.",
        "t: 1 of 3 train rows have an answer that is whole in no window; they are learned as rows without one. Raise "
        "doc_stride or model.max_length.",
        "t: 2 of 3 train rows have an answer of more than 1 tokens (max_answer_length), never predicted.",
    ]
    assert found.labels is not None
    assert (found.labels[1, : int(np.diff(found.sites.starts)[1])] == 0).all()
    assert laid(rows.select([2])).notes == []


def test_rows_of_one_window_have_the_loss_of_transformers_and_windows_have_their_mean() -> None:
    random = np.random.default_rng(0)
    outputs = torch.from_numpy(random.normal(size=(2, 3, 9, 2)).astype(np.float32))
    labels = torch.tensor([[[2, 4], [0, 0], [1, 1]], [[0, 0], [-100, -100], [-100, -100]]])
    found = SAMPLE.task.row_losses(outputs, labels)
    right = {"ignore_index": -100, "reduction": "none"}
    ends = [
        torch.nn.functional.cross_entropy(outputs[..., side].flatten(0, 1), labels[..., side].flatten(), **right)
        for side in (0, 1)
    ]
    each = ((ends[0] + ends[1]) / 2).reshape(2, 3)
    torch.testing.assert_close(found, torch.stack([each[0].mean(), each[1, 0]]))
    absent = outputs.clone().requires_grad_()
    SAMPLE.task.row_losses(torch.where(labels[..., :1, None] >= 0, absent, torch.inf), labels).sum().backward()
    assert absent.grad is not None
    assert absent.grad.isfinite().all()
    assert (absent.grad[1, 1:] == 0).all()


def test_predictions_are_left_out_where_their_odds_are_above_the_threshold() -> None:
    raw = SAMPLE.outputs(40)
    odds = SAMPLE.task.outputs_of(raw).null_over_best  # type: ignore[attr-defined]
    middle = float(np.median(odds))
    for threshold, expected in ((0.0, odds > 0), (middle, odds > middle), ("tuned", odds > 0)):
        task = SpanExtraction(no_answer=True, null_threshold=threshold)
        assert ((task.predictions(raw)[:, 1] == 0) == expected).all()
        answers = task.answers(raw, SAMPLE.encoded(40).scored_against)
        assert ([not found["answer"] for [found] in answers] == expected).all()
    always = SpanExtraction(no_answer=False)
    assert (always.predictions(raw)[:, 1] > 0).all()
    assert list(always.sameness(always.outputs_of(raw), SAMPLE.encoded(40).scored_against)) == []


def test_answers_are_the_spans_that_are_scored() -> None:
    raw, asked = SAMPLE.outputs(40), SAMPLE.encoded(40).scored_against
    for task in (SAMPLE.task, SpanExtraction(no_answer=False, max_answer_length=3)):
        outputs = task.outputs_of(raw)
        texts = [found[0]["answer"] for found in task.answers(raw, asked, n_best=4)]
        scores = task.measure(SquadExactMatch(), outputs, asked)
        assert scores == SquadExactMatch().compute(predictions=texts, references=[row.answers for row in asked])
        for row, found in zip(asked, task.answers(raw, asked, n_best=4), strict=True):
            assert len(found) == 4
            assert all(item["answer"] == row.context[item["start"] : item["end"]] for item in found)
            spans = [(item["start"], item["end"]) for item in found if item["answer"]]
            assert len(set(spans)) == len(spans)
