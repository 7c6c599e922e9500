"""A task type that hf_mtl has not, with an output for each word of a text. It needs this file alone."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from datasets import Dataset
from pydantic import Field
from torch import Tensor

from hf_mtl.data.text_batches import TextBatch, gather_batches
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.evaluation.registry import Entry
from hf_mtl.tasks import MetricSpec, Task
from hf_mtl.tasks.layout import LaidOut, OutputsPer, RowSites
from hf_mtl.tasks.learning import Labels
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Metric, Outputs
from tests.task_types.sample import Sample, texts


def odd(word: str) -> int:
    """Tell whether the sum of a word's characters is odd: something that must be learnt for each word."""
    return sum(map(ord, word)) % 2


class WordClasses(Task):
    """A class, 0 or 1, for each word of a text: what stands between blanks."""

    outputs_per: ClassVar[OutputsPer] = "token"
    outputs_are: ClassVar[str] = "classes of words"

    type: Literal["word_classes"] = "word_classes"
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="words_right")])

    @property
    def num_outputs(self) -> int:
        return 2

    @property
    def output_names(self) -> list[str]:
        return ["even", "odd"]

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        [column] = self.label_columns
        rows, words = dataset[column], [len(text.split()) for text in dataset[self.text_columns[0]]]
        missing = np.array([row is None for row in rows])
        wrong = [row is not None and len(row) != count for row, count in zip(rows, words, strict=True)]
        if any(wrong):
            raise DataError(Mistake(f"tasks.{name}.label", f"{split} has other numbers of labels than of words"))
        labels = np.full((len(rows), max(words)), -100, dtype=np.int64)
        for place, row in enumerate(rows):
            labels[place, : len(row or ())] = row or ()
        return labels, missing

    def lay_out(
        self, name: str, split: str, dataset: Dataset, labels: Any, tokenizer: Any, max_length: int | None
    ) -> LaidOut:
        words = [text.split() for text in dataset[self.text_columns[0]]]
        found = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length or 512)
        firsts = []
        for row in range(len(words)):
            of_word: dict[int, int] = {}
            for token, word in enumerate(found.word_ids(row)):
                if word is not None:
                    of_word.setdefault(word, token)
            firsts.append(of_word)
        lengths = np.array([len(row) for row in found["input_ids"]])
        ids = np.fromiter(chain.from_iterable(found["input_ids"]), np.int32)
        cut = np.array([len(of_word) < len(row) for of_word, row in zip(firsts, words, strict=True)])
        tokens = gather_batches([TextBatch(ids, None, lengths, cut)], "token_type_ids" in tokenizer.model_input_names)
        counts = [len(of_word) for of_word in firsts]
        sites = RowSites(
            "token",
            np.arange(len(words) + 1),
            np.fromiter(chain.from_iterable(of_word.values() for of_word in firsts), np.int32),
            np.concatenate([[0], np.cumsum(counts)]),
            np.fromiter(chain.from_iterable(firsts), np.int32),
        )
        return LaidOut(tokens, sites)

    def masses(self, labels: Labels) -> Labels | None:
        found: Labels = (labels != -100).sum(1)
        return found

    def strata(self, labels: np.ndarray) -> np.ndarray:
        return (labels == 1).sum(axis=1)

    def train_notes(self, labels: np.ndarray) -> list[str]:
        return [] if (labels == 1).any() else ["train has no odd word."]

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        losses = torch.nn.functional.cross_entropy(outputs.float().transpose(1, 2), labels, reduction="none")
        return losses.sum(dim=1)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        return raw.argmax(axis=-1)

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        words = [text.split() for text in found.rows[self.text_columns[0]]]
        rows = zip(words, self.predictions(found.outputs), strict=True)
        return [
            [{"word": word, "label": self.output_names[k]} for word, k in zip(of_row, row, strict=False)]
            for of_row, row in rows
        ]

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        assert isinstance(outputs, PlainOutputs)
        known = labels != -100
        predicted = self.predictions(outputs.values)
        return metric.compute(predictions=predicted[known[:, : predicted.shape[1]]], references=labels[known])

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        return np.where(labels[..., None] == np.arange(2), 10.0, 0.0).astype(np.float32)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        assert isinstance(outputs, PlainOutputs)
        if len(np.unique(self.predictions(outputs.values)[labels != -100])) == 1:
            yield "all words are predicted the same."

    def own_baselines(
        self, train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any]
    ) -> dict[str, np.ndarray]:
        wide = max(len(text.split()) for text in texts)
        counts = np.array([(labels == 0).sum(), (labels == 1).sum()], dtype=np.float64)
        majority = np.tile(counts, (len(texts), wide, 1))
        is_odd = np.zeros((len(texts), wide))
        for place, text in enumerate(texts):
            is_odd[place, : len(text.split())] = list(map(odd, text.split()))
        return {"majority": majority, "tfidf": np.stack([1 - is_odd, is_odd], axis=-1)}


class WordsRight:
    """Share of the words whose class is right."""

    key = "words_right"
    wants_probabilities = False

    def compute(self, *, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        return {"words_right": float((predictions == references).mean())}


WORDS_RIGHT = Entry(__name__, "WordsRight", "classes of words")


def rows(count: int) -> Dataset:
    found, _ = texts(count)
    return Dataset.from_dict({"text": found, "label": [[odd(word) for word in text.split()] for text in found]})


def loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    shifted = np.log(np.exp(outputs).sum(axis=-1))
    chosen = np.take_along_axis(outputs, np.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    return np.where(labels == -100, 0.0, shifted - chosen).sum(axis=1)


SAMPLE = Sample(WordClasses(), rows, loss, same=lambda outputs: np.broadcast_to([1.0, 0.0], outputs.shape).copy())
