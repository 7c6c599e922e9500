"""An answer to a question, cut out of its context."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.answers import encode_answers, without_answer
from hf_mtl.data.asked_contexts import asked_contexts, window_places
from hf_mtl.data.columns import arrow_column, name_count, plain_values
from hf_mtl.data.context_windows import WindowOptions, context_windows
from hf_mtl.data.texts import is_tokenised, missing_columns
from hf_mtl.data.window_notes import window_notes
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.answers import answer_inputs, answers_of_row
from hf_mtl.evaluation.null_threshold import tune_null_threshold
from hf_mtl.evaluation.span_baselines import constant_answers, nearest_answers
from hf_mtl.evaluation.spans import SpanOutputs, keep_best, right_logits, several_spans, softmaxes, span_outputs
from hf_mtl.tasks import MetricSpec, Task, register
from hf_mtl.tasks.layout import LaidOut, OutputsPer
from hf_mtl.tasks.learning import NO_SITE
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Compact, FoundAnswer, Metric, Outputs

_MOST_ANSWERS = 20  # of a row, where all are asked for: there are as many as spans
_ANSWER = {"answer": pa.string(), "score": pa.float64(), "start": pa.int64(), "end": pa.int64()}


@register
class SpanExtraction(Task):
    """Extractive question answering: the span of a context that answers a question, or no answer.

    A context that is longer than a window is read in several, which overlap. The loss of a window is the mean of the
    cross-entropies of its first and of its last token of the answer, over the tokens of the context and the window's
    first token, such as [CLS]: it is the target of windows without the whole answer. A row's loss is the mean over
    its windows. A span's probability is that of its two ends in its window, and the best of all windows is predicted.

    Args:
        text: The columns of questions and of contexts.
        label: The column of answers as SQuAD has them, ``{text: [...], answer_start: [...]}``, or a list of
            ``{text, answer_start}``. Empty: there is no answer. In each window the first one that is whole in it is
            learned, and scores take the best over all.
        no_answer: Whether questions may have no answer, as in SQuAD 2. None: whether one of the training rows has
            none, and in Python, where no rows are looked at, that they may.
        null_threshold: No answer is predicted where its log-odds against the best span are above: a number, or
            ``tuned``: chosen after training, for F1 on the validation rows, and kept with the model (0 until then).
        doc_stride: Tokens of the context that two windows share. None: 128, or half of what the longest question
            leaves of a window where that is less.
        max_question_length: Longest question in tokens; longer ones are cut, also where they would take more than
            half of a window.
        max_answer_length: Longest span that is predicted, in tokens.
    """

    outputs_per: ClassVar[OutputsPer] = "window"
    absent_output: ClassVar[float] = NO_SITE
    outputs_are: ClassVar[str] = "spans"
    can_calibrate: ClassVar[bool] = True
    auto_model: ClassVar[str | None] = "AutoModelForQuestionAnswering"
    other_names: ClassVar[tuple[str, ...]] = (
        "question_answering",
        "extractive_question_answering",
        "extractive_qa",
        "qa",
        "squad",
    )
    truth_keys: ClassVar[tuple[str, ...]] = (*Task.truth_keys, "no_answer")
    scoring_keys: ClassVar[tuple[str, ...]] = (
        *Task.scoring_keys,
        "null_threshold",
        "doc_stride",
        "max_question_length",
        "max_answer_length",
    )

    type: Literal["span_extraction"] = "span_extraction"
    text: list[str] = Field(default_factory=lambda: ["question", "context"], min_length=2, max_length=2)
    label: str = "answers"
    metrics: list[MetricSpec] = Field(
        default_factory=lambda: [MetricSpec(name="squad_f1"), MetricSpec(name="squad_exact_match")]
    )
    no_answer: bool | None = None
    null_threshold: Literal["tuned"] | Annotated[float, Field(allow_inf_nan=False)] = 0.0
    doc_stride: int | None = Field(None, ge=0)
    max_question_length: int = Field(64, ge=1)
    max_answer_length: int = Field(30, ge=1)

    @property
    def num_outputs(self) -> int:
        """Two: how likely a token is the first, and the last."""
        return 2

    @property
    def output_names(self) -> list[str]:
        """First and last token."""
        return ["start", "end"]

    @property
    def scored_apart(self) -> list[str]:
        """Rows with and without answer, where there may be both."""
        return [] if self.no_answer is False else ["has_answer", "no_answer"]

    @property
    def tuned_by(self) -> str | None:
        """The threshold, if it is to be tuned."""
        return "null_threshold" if self.null_threshold == "tuned" else None

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Refuse a threshold that nothing would read."""
        if self.no_answer is False and self.null_threshold != 0:
            found = f"{self.null_threshold}, and no_answer is false: every question is answered"
            yield Mistake(f"tasks.{name}.null_threshold", found, "Leave one of them out.")

    def unknown_outputs(self, name: str) -> Iterator[Mistake]:
        """Refuse a threshold that nothing would read, also where no recipe is."""
        yield from self.key_mistakes(name)

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Find out whether a training row has no answer."""
        train = splits.get("train")
        if self.no_answer is not None or train is None:
            return self
        labels, missing = self.encode(name, "train", train)
        if self.null_threshold != 0 and not without_answer(labels[~missing]).any():
            found = f"{self.null_threshold}, and every training row has an answer"
            remedy = "Leave it out; or say no_answer: true, if rows to predict may have none."
            raise DataError(Mistake(f"tasks.{name}.null_threshold", found, remedy))
        return self.model_copy(update={"no_answer": bool(without_answer(labels[~missing]).any())})

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Tell from where to where answers stand in their contexts, int64 [n, G, 2], -1 behind those of a row."""
        if is_tokenised(self, dataset):
            found = f"{split} has token ids, of which nobody knows the characters"
            remedy = f"Give the columns {' and '.join(self.text)}; they are tokenised here."
            raise DataError(Mistake(f"tasks.{name}.text", found, remedy))
        if mistakes := missing_columns(self, name, {split: dataset}):
            raise DataError(mistakes)
        labels, missing = encode_answers([self.text[1], self.label], name, split, dataset)
        none = without_answer(labels) & ~missing
        if self.no_answer is False and none.any():
            found = f"is false, and {name_count(int(none.sum()))} of {split} have no answer"
            raise DataError(Mistake(f"tasks.{name}.no_answer", found, "Say no_answer: true, or leave them out."))
        return labels, missing

    def lay_out(
        self,
        name: str,
        split: str,
        dataset: Dataset,
        labels: np.ndarray | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None,
    ) -> LaidOut:
        """Read each context in as many windows as it needs."""
        questions, contexts = (plain_values(arrow_column(dataset, column)).to_pylist() for column in self.text)
        options = WindowOptions(max_length, self.max_question_length, self.doc_stride)
        windows = context_windows(name, questions, contexts, tokenizer, options)
        asked = asked_contexts(contexts, labels, windows.characters)
        places = window_places(asked)
        notes = window_notes(f"{len(asked):,} {split} rows", windows, asked, places, self.max_answer_length)
        return LaidOut(windows.tokens, windows.sites, places, asked, [f"{name}: {note}" for note in notes])

    def references(self, dataset: Dataset, labels: np.ndarray) -> np.ndarray:
        """Put contexts and answers together, without windows."""
        return asked_contexts(plain_values(arrow_column(dataset, self.text[1])).to_pylist(), labels)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the share of rows without answer."""
        return without_answer(labels).astype(np.int64)

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Say where the training rows do not tell whether there is an answer."""
        none = without_answer(labels)
        if none.all():
            return ["no train row has an answer; there is nothing to learn."]
        if self.no_answer and not none.any():
            return ["every train row has an answer; which questions have none cannot be learned."]
        return []

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Average over the row's windows the mean cross-entropy of first and last token."""
        places = labels.reshape(*outputs.shape[:2], 2).long()
        there = places[..., 0] >= 0
        logs = torch.log_softmax(outputs.float(), dim=2)
        picked = logs.gather(2, places.clamp(min=0)[:, :, None]).squeeze(2)
        # Chosen and not multiplied by 0: of an infinite output that would be no number.
        losses = torch.where(there, -picked.mean(dim=2), 0.0)
        return losses.sum(dim=1) / there.sum(dim=1).clamp(min=1)

    def compact(self, places: tuple[int, ...] = ()) -> Compact | None:
        """Keep the best span alone."""
        return keep_best(self.max_answer_length)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Find the best spans."""
        return span_outputs(raw, self.max_answer_length)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict window, first and last place of the answer, int64 [n, 3]; 0 and 0 for no answer."""
        outputs = span_outputs(raw, self.max_answer_length)
        found: np.ndarray = outputs.values[:, :3].astype(np.int64)
        found[self._left_out(outputs)] = 0
        return found

    def answers(self, raw: np.ndarray, references: np.ndarray, n_best: int = 1) -> list[list[FoundAnswer]]:
        """Give the texts of the best answers with their probabilities.

        Args:
            raw: The outputs, as `MultiTaskTrainer.predict` gives them, [n, S, P, 2].
            references: The contexts, as its ``label_ids`` hold them.
            n_best: The most answers of a row.

        Returns:
            For each row its answers, the best first; one without text is no answer, and stands above those that its
            log-odds against them are above the threshold of.
        """
        # As many as may be the same span in other windows.
        spans = several_spans(raw, self.max_answer_length, n_best * raw.shape[1])
        threshold = None if self.no_answer is False else self._threshold
        return [
            answers_of_row(row, found, null, threshold)[:n_best]
            for row, (found, null) in zip(references, spans, strict=True)
        ]

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Give the answer, empty for none, its probability, and its first character and end in the context."""
        return [row[0] for row in self.ranked(found, 1)]

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]]:
        """Give the best answers, where one is empty for none; the first is the one that is predicted."""
        if not len(found):
            return []
        assert found.references is not None  # what `lay_out` has made
        rows = self.answers(found.outputs, found.references, most or _MOST_ANSWERS)
        # A context without a token has no span to cut out.
        nothing = FoundAnswer(answer="", score=0.0, start=0, end=0)
        return [[dict(answer) for answer in row or [nothing]] for row in rows]

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give ``answer``, ``score``, ``start`` and ``end``, and the list of the best ``answers``."""
        rows = [row[0] for row in self.ranked(found, 1)]
        columns = {key: pa.array([row[key] for row in rows], kind) for key, kind in _ANSWER.items()}
        if everything:
            columns["answers"] = pa.array(self.ranked(found, None), pa.list_(pa.struct(list(_ANSWER.items()))))
        return columns

    @property
    def _threshold(self) -> float:
        return 0.0 if isinstance(self.null_threshold, str) else self.null_threshold

    def _left_out(self, outputs: SpanOutputs) -> np.ndarray:
        """Tell which rows are predicted to have no answer, bool [n]."""
        if self.no_answer is False:
            return outputs.without_span
        found: np.ndarray = outputs.null_over_best > self._threshold
        return found

    def _texts(self, outputs: SpanOutputs, asked: np.ndarray) -> list[str]:
        """Return the predicted texts, empty for no answer."""
        texts = zip(outputs.texts(asked), self._left_out(outputs), strict=True)
        return ["" if none else text for text, none in texts]

    def tuned(self, raw: np.ndarray, labels: np.ndarray) -> tuple[float, list[str]]:
        """Choose the threshold."""
        outputs = span_outputs(raw, self.max_answer_length)
        return tune_null_threshold(outputs.null_over_best, outputs.texts(labels), [row.answers for row in labels])

    def exported(self) -> dict[str, Any]:
        """Give the threshold, which no class of transformers applies."""
        return {} if self.no_answer is False else {"null_threshold": self._threshold}

    def in_softmax(self, raw: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the logits of first and last tokens of every window, and the places that are right."""
        return softmaxes(raw, labels)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Say whether rows with and without answer are scored apart."""
        return {"apart": bool(self.scored_apart)}

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric the predicted texts and those of the answers."""
        assert isinstance(outputs, SpanOutputs)  # what `outputs_of` and the like have made
        odds = outputs.null_over_best
        return metric.compute(**answer_inputs(metric, self._texts(outputs, labels), labels, odds))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give first and last token of the answer a logit of 10 in windows that have it, else the first token."""
        return right_logits(labels)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find the same answer, or none, for all rows."""
        assert isinstance(outputs, SpanOutputs)
        predicted = set(self._texts(outputs, labels))
        if len(predicted) == 1 and len({tuple(row.answers) for row in labels}) > 1:
            [text] = predicted
            yield f"all {len(outputs):,} rows are predicted {f'{text!r:.60}' if text else 'to have no answer'}."

    def own_baselines(
        self, train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any]
    ) -> dict[str, np.ndarray]:
        """Predict no answer, or the beginning of the context; and the words nearest to those of the question."""
        makers = {"majority": constant_answers, "tfidf": nearest_answers}
        return {name: make(train_texts, labels, texts) for name, make in makers.items()}
