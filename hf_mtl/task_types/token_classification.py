"""A tag for each word of a text: entities, parts of speech."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from pydantic import Field, field_validator, model_validator
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.class_labels import found_notes
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_layout import cut_notes, lay_out_pieces, lay_out_words
from hf_mtl.data.tag_schemes import OUTSIDE, Scheme, Tags, scheme_mistakes, scheme_of
from hf_mtl.data.text_spans import encode_spans, holds_spans, read_spans, resolve_spans, span_notes
from hf_mtl.data.train_notes import absent_notes
from hf_mtl.data.word_tags import broken_note, encode_tags, read_tags, resolve_tags
from hf_mtl.data.word_tokens import word_tokens
from hf_mtl.data.words import words_of
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.classes import class_ids
from hf_mtl.evaluation.named_tags import named_tags, tag_columns, word_columns
from hf_mtl.evaluation.outputs import wants_logits
from hf_mtl.evaluation.tags import (
    ABSENT,
    TagOutputs,
    metric_mistakes,
    tag_measure,
    tags_alone,
    tags_in_softmax,
    undefined_of_tags,
)
from hf_mtl.evaluation.word_models import linear_tags, majority_tags
from hf_mtl.modeling.class_outputs import OutputPerClass
from hf_mtl.modeling.class_weights import check_weights
from hf_mtl.tasks import MetricSpec, register
from hf_mtl.tasks.layout import LaidOut, OutputsPer
from hf_mtl.tasks.learning import Labels
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Compact, Metric, Outputs

_SEQEVAL = {"iob2": "IOB2", "iob1": "IOB2", "bioes": "IOBES", "bilou": "BILOU"}
_PLAIN = (MetricSpec(name="accuracy"), MetricSpec(name="f1_macro"))
_OF_ENTITIES = (MetricSpec(name="entity_f1"),)


@register
class TokenClassification(OutputPerClass):
    """A tag for each word of a text: entities, parts of speech.

    The loss is the mean over words whose tag is known (not None and not -100). A word has the output of its first
    piece. Rows longer than the model are cut in training, which is said with the words and entities that are lost; in
    evaluation they are read as windows that share half of their tokens, and each word has the output of the window
    that sees most of the text around it. Scores are of whole words.

    Args:
        text: A column of lists of words; or of texts, whose labels are spans.
        label: A column of lists with a tag for each word, names or ids; or with ``{start, end, label}`` for each span
            of characters. A word of which any character is in a span belongs to it.
        labels: The tags in id order, such as ``[O, B-PER, I-PER]``; with spans their labels will do. None: from the
            dataset's ClassLabel, or from the data.
        scheme: What the prefixes of tags say: ``iob2`` (B- begins every entity), ``iob1`` (I- may begin one; it is
            converted to IOB2), ``bioes``, ``bilou``, or ``plain``: there are none. None: as the tags look, but never
            ``iob1``: where tags break IOB2 and are IOB1, that is said.
        invalid_tags: What becomes of tags that break their scheme, such as an I- after O: ``error``, or ``repair``:
            entities are read as conlleval does, and written in right tags.
        word_pieces: Which pieces of a word are trained: its ``first``, or ``all`` (those behind that of B-X have
            I-X), each of which counts in the mean. Predictions and scores are those of the first either way.
        metrics: The first one is the primary metric. Left out: entity_f1; for plain tags accuracy and f1_macro.
        class_weights: What tags weigh in the loss, as in sequence_classification, counted in words.
        label_smoothing: Mass spread over all tags, in [0, 1).
    """

    outputs_per: ClassVar[OutputsPer] = "token"
    absent_output: ClassVar[float] = ABSENT
    outputs_are: ClassVar[str] = "tags"
    auto_model: ClassVar[str | None] = "AutoModelForTokenClassification"
    other_names: ClassVar[tuple[str, ...]] = ("ner", "pos", "tagging", "sequence_labeling", "sequence_tagging")
    truth_keys: ClassVar[tuple[str, ...]] = (*OutputPerClass.truth_keys, "scheme", "invalid_tags")
    scoring_keys: ClassVar[tuple[str, ...]] = (*OutputPerClass.scoring_keys, "invalid_tags")

    type: Literal["token_classification"] = "token_classification"
    text: str = Field("tokens", description="Column of lists of words, or of texts.")
    label: str = Field("tags", description="Column of lists: a tag for each word, or spans {start, end, label}.")
    metrics: list[MetricSpec] = Field(default_factory=lambda: list(_OF_ENTITIES))
    scheme: Scheme | None = None
    invalid_tags: Literal["error", "repair"] = "error"
    word_pieces: Literal["first", "all"] = "first"

    @field_validator("text", mode="before")
    @classmethod
    def _one_text(cls, value: object) -> object:
        if isinstance(value, list) and len(value) == 1:
            return value[0]
        if isinstance(value, list):
            raise ValueError("one column, of lists of words or of texts")
        return value

    @field_validator("labels")
    @classmethod
    def _two_or_more_names(cls, value: list[str] | int | None) -> list[str] | int | None:
        # One will do for spans, of which it is a type.
        names = value if isinstance(value, list) else ["any"]
        if not names or len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError("different names, none of them blank")
        return value

    @model_validator(mode="after")
    def _fitting_metrics(self) -> Self:
        # The model is frozen for its users; nobody has seen it yet.
        self.__dict__["metrics"] = self._own_metrics(self.label_names)
        return self

    def _own_metrics(self, names: list[str] | None) -> list[MetricSpec]:
        """Return the metrics as given, or those that fit tags of these names."""
        if "metrics" in self.model_fields_set:
            return self.metrics
        plain = names is not None and (self.scheme or scheme_of(names)) == "plain"
        return list(_PLAIN if plain else _OF_ENTITIES)

    @property
    def _may_be_types(self) -> bool:
        """Tell whether the labels may be those of spans, which the data tell: none is a tag of an entity."""
        names = self.label_names or [OUTSIDE]
        return OUTSIDE not in names and scheme_of(names) == "plain"

    @property
    def text_lists(self) -> list[str]:
        """The text column, if it holds lists."""
        return [self.text]

    @property
    def texts_or_lists(self) -> bool:
        """Tell that it may hold texts too."""
        return True

    @property
    def tags(self) -> Tags:
        """The tags with their scheme.

        Raises:
            ValueError: While the tags are not known.
        """
        names = self.output_names
        if not names:
            raise ValueError("the tags are not known: give labels, their names in order of their ids")
        return Tags(tuple(names), self.scheme or scheme_of(names))

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Compare the class weights and the scheme with the tags."""
        if not self._may_be_types:
            yield from self._tag_mistakes(name)

    def _tag_mistakes(self, name: str) -> Iterator[Mistake]:
        scheme, names = self.scheme, self.label_names
        if names is not None:
            yield from check_weights(self.class_weights, names, f"tasks.{name}.class_weights")
            yield from scheme_mistakes(names, scheme, name)
            scheme = scheme or scheme_of(names)
        if self.invalid_tags == "repair" and scheme in ("plain", "iob1"):
            remedy = "Leave it out: no such tags can break their scheme."
            yield Mistake(f"tasks.{name}.invalid_tags", f"found repair, and the tags are {scheme}", remedy)

    def unknown_outputs(self, name: str) -> Iterator[Mistake]:
        """Refuse tags that nobody has named or that are no two, and keys that do not fit those that are."""
        if self.labels is None:
            remedy = "Give labels: the names of the tags in the order of their ids, such as [O, B-PER, I-PER]"
            yield Mistake(f"tasks.{name}.labels", "the tags are not known", remedy)
        elif self.num_outputs < 2:
            remedy = "Give the tags of every type, such as [O, B-PER, I-PER]"
            yield Mistake(f"tasks.{name}.labels", f"found {self.output_names}, one tag alone", remedy)
        yield from self._tag_mistakes(name)

    def label_types(self, values: Mapping[str, pa.Array], filtered: bool) -> Mapping[str, pa.DataType]:
        """Leave a column of a csv file as it is: no field of one is a list."""
        return {}

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Name the tags, and choose the metrics that fit them."""
        spans = any(holds_spans(part, self.label) for part in splits.values())
        find = resolve_spans if spans else resolve_tags
        found = find(self.labels, self.scheme, self.label, name, splits)
        resolved = self.model_copy(update={"labels": found, "metrics": self._own_metrics(found)})
        if mistakes := list(resolved.unknown_outputs(name)):
            raise DataError(mistakes)
        return resolved

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Make the id of each word's tag, int16 [n, W], -100 where there is no word or its tag is not known."""
        if mistakes := list(self.unknown_outputs(name)):
            raise DataError(mistakes)
        words, where = words_of(self, name, split, dataset), (name, split)
        if not holds_spans(dataset, self.label):
            lists = read_tags(dataset, self.label, name, split)
            return encode_tags(self.tags, words, lists, self.invalid_tags == "repair", where)
        if self.invalid_tags == "repair":
            found = "found repair, and the labels are spans, which break no scheme"
            raise DataError(Mistake(f"tasks.{name}.invalid_tags", found, "Leave it out"))
        return encode_spans(self.tags, words, read_spans(dataset, self.label, name, split), where)

    def lay_out(
        self,
        name: str,
        split: str,
        dataset: Dataset,
        labels: np.ndarray | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None,
    ) -> LaidOut | None:
        """Tokenise texts, cut in training and in windows elsewhere, and look at the first piece of each word."""
        words, train = words_of(self, name, split, dataset), split == "train"
        found = word_tokens(words, tokenizer, max_length, name, windows=not train)
        notes = [*self._label_notes(name, split, dataset), *cut_notes(name, split, words, found, labels, self.tags)]
        if train and labels is not None and self.word_pieces == "all":
            sites, read = lay_out_pieces(words, found, labels, self.tags)
            return LaidOut(found.tokens, sites, read, labels, notes)
        sites, kept = lay_out_words(words, found, labels)
        return LaidOut(found.tokens, sites, kept, labels, notes)

    def _label_notes(self, name: str, split: str, dataset: Dataset) -> list[str]:
        """Say what was repaired, and which spans cut words."""
        if self.label not in dataset.column_names:
            return []
        words = words_of(self, name, split, dataset)
        if holds_spans(dataset, self.label):
            notes = list(span_notes(words, read_spans(dataset, self.label, name, split), split))
        elif self.invalid_tags == "repair":
            notes = list(broken_note(self.tags, read_tags(dataset, self.label, name, split), words, split))
        else:
            notes = []
        return [f"{name}: {note}" for note in notes]

    def masses(self, labels: Labels) -> Labels | None:
        """Count the words, or pieces, whose tag is known."""
        found: Labels = (labels != NO_CLASS).sum(1)
        return found

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Group rows by the rarest of their tags, so that rare ones keep a row."""
        rarity = np.append(self.class_counts(labels), len(labels) + 1)  # the last one for no tag, -1
        tags = np.where(labels == NO_CLASS, -1, labels)
        places = rarity[tags].argmin(axis=1)
        found: np.ndarray = tags[np.arange(len(tags)), places].astype(np.int64) + 1
        return found

    def class_counts(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows with each tag."""
        row, _ = known = np.nonzero(labels != NO_CLASS)
        pairs = np.unique(row * self.num_outputs + labels[known])
        return np.bincount(pairs % self.num_outputs, minlength=self.num_outputs)

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say what is odd about tags that were found."""
        found = given is not None and not isinstance(given.labels, list)
        return found_notes(self.output_names, self.label, name) if found else []

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Name the tags that no training row has."""
        return absent_notes(self.output_names, self.class_counts(labels))

    def counts_in_loss(self, labels: np.ndarray) -> np.ndarray:
        """Count the words of each tag."""
        return np.bincount(labels[labels != NO_CLASS], minlength=self.num_outputs)

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Sum the cross-entropies of words whose tag is known, times the weights of their tags."""
        labels, logits = labels.long(), outputs.float().transpose(1, 2)
        losses = F.cross_entropy(
            logits, labels, reduction="none", ignore_index=NO_CLASS, label_smoothing=self.label_smoothing
        )
        if weights is not None:
            losses = losses * weights.float()[labels.clamp(min=0)]
        # Chosen and not multiplied by 0: of an infinite output that would be no number.
        return torch.where(labels == NO_CLASS, 0.0, losses).sum(dim=1)

    def compact(self, places: tuple[int, ...] = ()) -> Compact | None:
        """Keep the predicted tags alone, where no metric wants probabilities."""
        return None if wants_logits(self) else tags_alone(places)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Find the predicted tags."""
        return TagOutputs.of(raw, whole=wants_logits(self))

    def gathered(self, batches: Iterable[np.ndarray]) -> Outputs:
        """Keep the logits only where a metric wants them."""
        return TagOutputs.gathered(batches, wants_logits(self))

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the tag of each word's largest logit, the first of equal ones; -100 without any, int64 [n, W]."""
        return TagOutputs.of(raw, whole=False).predicted

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Give ``entity``, ``score``, ``word``, ``start`` and ``end`` of each; of each word its ``tag``, if plain."""
        return [*self._named(found)]

    def _named(self, found: RowOutputs) -> list[list[dict[str, Any]]]:
        words = words_of(self, self.type, "rows", found.rows)
        return named_tags(found.outputs, self.predictions(found.outputs), self.tags, words)

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give a list of ``entities`` or ``tags``; ``words``, and ``p.`` with each tag's name, of each of these."""
        columns = tag_columns(self._named(found), self.tags)
        if not everything:
            return columns
        words = words_of(self, self.type, "rows", found.rows)
        return {**columns, **word_columns(found.outputs, self.predictions(found.outputs), self.tags, words)}

    def in_softmax(self, raw: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the logits and tags of words whose tag is known."""
        return tags_in_softmax(raw, labels)

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Find metrics of entities for plain tags, and an f1 of tags that there are not."""
        names = self.label_names
        yield from metric_mistakes(key, spec, None if names is None else self.tags)
        if spec.name == "f1" and names is not None:
            yield from f1_mistakes(key, spec, names)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell the types of entities and their scheme, or the number of tags and which of them an f1 is about."""
        if spec.name.startswith("entity_"):
            if mistakes := list(metric_mistakes(key, spec, self.tags)):
                raise DataError(mistakes)
            return {"types": self.tags.types, "scheme": _SEQEVAL[self.tags.scheme]}
        options: dict[str, Any] = {"num_classes": self.num_outputs}
        return {**options, "labels": class_ids(spec, self.output_names, key)} if spec.name == "f1" else options

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric sentences of tags, or the tags of all words."""
        assert isinstance(outputs, TagOutputs)  # what `outputs_of` and the like have made
        return tag_measure(metric, outputs, labels, self.tags)

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the true tag of each word a logit of 10."""
        found = 10 * np.eye(self.num_outputs, dtype=np.float32)[np.maximum(labels, 0)]
        return np.where((labels == NO_CLASS)[..., None], np.float32(ABSENT), found)

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics of entities where there are none."""
        yield from undefined_of_tags(spec, labels, self.tags)

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name tags without rows, each of which counts 0 in f1_macro and recall_macro."""
        if not any(spec.name in ("f1_macro", "recall_macro") for spec in self.metrics):
            return []
        return [name for name, count in zip(self.output_names, self.class_counts(labels), strict=True) if not count]

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one tag that is predicted for all words."""
        assert isinstance(outputs, TagOutputs)
        predicted, known = outputs.over(labels, self.tags.outside)[0], labels != NO_CLASS
        tags = np.unique(predicted[known])
        if len(tags) == 1 and tags[0] >= 0 and len(np.unique(labels[known])) > 1:
            yield f"all {int(known.sum()):,} words are predicted '{self.output_names[int(tags[0])]}'."

    def own_baselines(
        self, train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any]
    ) -> dict[str, np.ndarray] | None:
        """Predict the most frequent tag, and with a linear model on the letters of words and of those beside them."""
        count = self.num_outputs
        return {
            "majority": majority_tags(labels, texts, count),
            "tfidf": linear_tags(train_texts, labels, texts, count),
        }
