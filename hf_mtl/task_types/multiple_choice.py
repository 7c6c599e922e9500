"""One of several choices for each row, each of which is read with the row's context."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from datasets import Dataset
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.choice_labels import FORMS, Form, encode_choice_labels, find_form, read_choice_labels
from hf_mtl.data.choice_lists import are_choices, choice_lists, choice_mistakes, in_any_order, repeated_choices
from hf_mtl.data.choice_texts import ChoiceTexts, template_fields
from hf_mtl.data.columns import arrow_column, name_count, name_rows
from hf_mtl.data.spelling import number_types
from hf_mtl.errors import Mistake
from hf_mtl.evaluation.candidates import choice_logits
from hf_mtl.evaluation.choice_baselines import TextRow, choice_baselines
from hf_mtl.evaluation.classes import class_measure
from hf_mtl.evaluation.compact import CLASSES_ALONE, classes_alone
from hf_mtl.evaluation.outputs import ClassOutputs, probabilities, wants_logits
from hf_mtl.tasks import MetricSpec, Task, register
from hf_mtl.tasks.layout import LaidOut, OutputsPer
from hf_mtl.tasks.learning import NO_SITE
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Candidates, Compact, Metric, Outputs

if TYPE_CHECKING:  # heavy, and needed for annotations alone
    from transformers import PreTrainedTokenizerBase


@register
class MultipleChoice(Task):
    """One of several choices for each row, each of which is read with the row's context.

    Each choice is a sequence of its own, a pair with the context: the encoder sees the context once for each. The
    head gives a number for each sequence, and the loss is the cross-entropy of a softmax over the row's choices, of
    which other rows may have more or fewer. Where a pair is too long the context is cut, so that choices keep their
    ends; what is cut is said.

    Args:
        text: The context's column; or two, of which the second (a question, the beginning of a sentence) is joined
            with each choice by ``template``; or none, ``[]``: the choices alone.
        choices: A column of lists, or a column for each choice, of which a row may leave the last ones empty.
        template: What is read in place of a choice, with ``{choice}`` in it, and ``{question}`` for the second text.
            None: ``{question} {choice}``, or the choice alone.
        label: The column that says which choice is right.
        labels: How a label says which choice is right: ``index`` (0 is the first), ``numbers`` (1 is), ``letters``
            (A is; numbers from 1 beside letters too), ``text`` (the text of the right one), or a list of what the
            choices are called in their order. None: found out by the labels; without a recipe, integers are indices.
        label_smoothing: Mass spread over the row's choices, in [0, 1).
    """

    outputs_per: ClassVar[OutputsPer] = "sequence"
    absent_output: ClassVar[float] = NO_SITE
    outputs_are: ClassVar[str] = "choices"
    can_calibrate: ClassVar[bool] = True
    auto_model: ClassVar[str | None] = "AutoModelForMultipleChoice"
    other_names: ClassVar[tuple[str, ...]] = ("multiplechoice", "multi_choice", "choice", "swag")
    outputs_key: ClassVar[str] = "choices"
    truth_keys: ClassVar[tuple[str, ...]] = (*Task.truth_keys, "choices", "labels")
    scoring_keys: ClassVar[tuple[str, ...]] = (*Task.scoring_keys, "choices", "labels")

    type: Literal["multiple_choice"] = "multiple_choice"
    text: str | list[str] = "text"
    choices: str | list[str] = "choices"
    template: str | None = None
    label: str = "label"
    labels: Form | None = None
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="accuracy")])
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @field_validator("text")
    @classmethod
    def _one_or_two_texts(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) > 2:
            raise ValueError(f"a context, or a context and a question, or [] for none; found {len(value)} columns")
        return value

    @field_validator("choices")
    @classmethod
    def _two_or_more(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) < 2:
            raise ValueError("a column of lists, or a list of two columns or more, one for each choice")
        return value

    @field_validator("labels")
    @classmethod
    def _names(cls, value: Form | None) -> Form | None:
        if isinstance(value, list):
            names = [name.strip() for name in value]
            if len(names) < 2 or len(set(names)) < len(names) or not all(names):
                raise ValueError("two or more different names, none of them blank")
        return value

    @field_validator("template")
    @classmethod
    def _has_the_choice(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return value
        asked = isinstance(info.data.get("text"), list) and len(info.data["text"]) == 2
        wanted = {"choice", "question"} if asked else {"choice"}
        try:
            found = template_fields(value)
        except ValueError as error:
            raise ValueError(f"no template: {error}; write {{{{ and }}}} for braces that are text") from None
        if found != wanted:
            names = " and ".join(f"{{{field}}}" for field in sorted(wanted))
            why = "" if asked else "; {question} is the second of two text columns"
            raise ValueError(f"a text with {names} in it{why}")
        return value

    @property
    def context_columns(self) -> list[str]:
        """The columns of the context and the question, as many as there are."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def choice_columns(self) -> list[str]:
        """The columns of the choices."""
        return [self.choices] if isinstance(self.choices, str) else list(self.choices)

    @property
    def text_columns(self) -> list[str]:
        """The columns of the context, of the question and of the choices."""
        return [*self.context_columns, *self.choice_columns]

    @property
    def text_lists(self) -> list[str]:
        """The column of lists of choices, if it is one."""
        return [self.choices] if isinstance(self.choices, str) else []

    @property
    def self_checked(self) -> list[str]:
        """The choices, which a row may lack."""
        return self.choice_columns

    def text_key(self, column: str) -> str:
        """Name the key of a text column."""
        return "choices" if column in self.choice_columns else "text"

    @property
    def num_outputs(self) -> int:
        """One number for each choice."""
        return 1

    @property
    def output_names(self) -> list[str]:
        """The name of that number."""
        return ["choice"]

    @property
    def texts(self) -> ChoiceTexts:
        """How the texts of a row become sequences."""
        context, question = (*self.context_columns, None, None)[:2]
        default = "{choice}" if question is None else "{question} {choice}"
        return ChoiceTexts(context, question, self.choices, default if self.template is None else self.template)

    def label_types(self, values: Mapping[str, pa.Array], filtered: bool) -> Mapping[str, pa.DataType]:
        """Leave labels as they are written, which `resolve` reads, but where a filter reads the column too."""
        return number_types(values) if filtered else {}

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Find out how labels say which choice is right."""
        if self.labels is not None or not all(are_choices(rows, self.choices) for rows in splits.values()):
            return self  # other types are refused where texts are checked
        read = {
            split: read_choice_labels(rows, self.label, self.choices, name, split) for split, rows in splits.items()
        }
        return self.model_copy(update={"labels": find_form(read, self.label, f"tasks.{name}.labels")})

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Find the place of the right choice, int64 [n]."""
        if not are_choices(dataset, self.choices):  # refused where texts are checked
            return np.zeros(len(dataset), dtype=np.int64), np.zeros(len(dataset), dtype=bool)
        found = read_choice_labels(dataset, self.label, self.choices, name, split)
        return encode_choice_labels(self.labels, found, f"tasks.{name}.label", split)

    def text_mistakes(self, name: str, split: str, dataset: Dataset, used: np.ndarray) -> Iterator[Mistake]:
        """Find rows with fewer than two choices, and empty ones."""
        yield from choice_mistakes(dataset, self.choices, f"tasks.{name}.choices", split, used)

    def told_apart_by(self, dataset: Dataset) -> list[pa.Array]:
        """Give context and question, and the choices as one text, whatever their order."""
        contexts = [arrow_column(dataset, column) for column in self.context_columns]
        return [*contexts, in_any_order(choice_lists(dataset, self.choices))]

    def lay_out(
        self,
        name: str,
        split: str,
        dataset: Dataset,
        labels: np.ndarray | None,
        tokenizer: "PreTrainedTokenizerBase",
        max_length: int | None,
    ) -> LaidOut:
        """Make a sequence of each choice."""
        return self.texts.lay_out(name, split, dataset, tokenizer, max_length)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the shares of the places of the right choices."""
        return labels

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say how labels were read, and which rows have a choice twice."""
        notes = []
        if given is not None and given.labels is None and isinstance(self.labels, str) and self.labels != "index":
            notes.append(f"{name}: the labels of '{self.label}' are read as {self.labels}: {FORMS[self.labels]}.")
        twice = repeated_choices(choice_lists(train, self.choices))
        if twice.any():
            count = name_count(int(twice.sum()), "train row")
            notes.append(f"{name}: {count} with a choice that comes twice: {name_rows(twice)}.")
        return notes

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Say if the right choice is always at the same place."""
        places = np.unique(labels)
        if len(places) > 1 or len(labels) < 2:
            return []
        where = f"choice {int(places[0]) + 1}"
        return [f"the right one is {where} in all training rows: shuffle the choices, or the place is all it learns."]

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the cross-entropy of a softmax over the choices of each row."""
        logits = outputs.float().squeeze(-1)
        losses = F.cross_entropy(logits, labels.reshape(-1).long(), reduction="none")
        if not self.label_smoothing:
            return losses
        # Torch's own smoothing would give a share to choices that are not there.
        there = logits > NO_SITE / 2
        others = F.log_softmax(logits, dim=-1).masked_fill(~there, 0.0).sum(dim=-1) / there.sum(dim=-1)
        return (1 - self.label_smoothing) * losses - self.label_smoothing * others

    def compact(self, places: tuple[int, ...] = ()) -> Compact | None:
        """Keep the places of the predicted choices alone, where no metric wants probabilities."""
        if wants_logits(self):
            return None
        return Compact(lambda outputs: classes_alone(outputs.squeeze(-1)), CLASSES_ALONE.width, CLASSES_ALONE.read)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Find the predicted choices."""
        return ClassOutputs.of(_flat(raw))

    def gathered(self, batches: Iterable[np.ndarray]) -> Outputs:
        """Keep the logits only where a metric wants them."""
        return ClassOutputs.gathered((_flat(raw) for raw in batches), wants_logits(self))

    def as_predicted(self, raw: np.ndarray) -> np.ndarray:
        """Give the logits of a row's choices, [n, S]."""
        return _flat(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the choice of the largest logit, the first of equal ones, int64 [n]."""
        return ClassOutputs.of(_flat(raw)).predicted

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Give the text of the predicted choice, its ``index`` from 0, and its probability."""
        return [row[0] for row in self.ranked(found, 1)]

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]]:
        """Give the likeliest choices, the first of equal ones first."""
        return [
            [
                {"label": choices[index], "index": index, "score": float(shares[index])}
                for index in np.argsort(-shares, kind="stable")[:most].tolist()
            ]
            for choices, shares in self._choices(found)
        ]

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give ``label``, ``index`` and ``score``, and the list of ``probabilities`` of all choices."""
        rows = [row[0] for row in self.ranked(found, 1)]
        kinds = {"label": pa.string(), "index": pa.int64(), "score": pa.float64()}
        columns = {key: pa.array([row[key] for row in rows], kind) for key, kind in kinds.items()}
        if everything:
            shares = [shares.tolist() for _, shares in self._choices(found)]
            columns["probabilities"] = pa.array(shares, pa.list_(pa.float64()))
        return columns

    def _choices(self, found: RowOutputs) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield the choices of each row, and their probabilities."""
        if len(found):
            lists = choice_lists(found.rows, self.choices).to_pylist()
            for choices, shares in zip(lists, probabilities(_flat(found.outputs)), strict=True):
                yield choices, shares[: len(choices)]

    def in_softmax(self, raw: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the logits of each row's choices."""
        return _flat(raw), labels

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell no number of classes: rows have numbers of choices of their own."""
        return {"num_classes": 0}

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric the places of choices, or their probabilities where it wants them."""
        assert isinstance(outputs, ClassOutputs)  # what `outputs_of` and the like have made
        return class_measure(metric, outputs, labels.reshape(-1))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the right choice a logit of 10, beside others up to the last that is right in any row."""
        wide = max(2, int(labels.max(initial=1)) + 1)
        found: np.ndarray = 10 * np.eye(wide, dtype=np.float32)[labels]
        return found[..., None]

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one place that is predicted for all rows."""
        assert isinstance(outputs, ClassOutputs)
        predicted = np.unique(outputs.predicted)
        if len(predicted) == 1 and len(np.unique(labels)) > 1:
            yield f"choice {int(predicted[0]) + 1} is predicted for all {len(outputs):,} rows."

    def own_baselines(
        self, train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any]
    ) -> dict[str, np.ndarray]:
        """Predict by the places that are right in training, and by what choices share with their context."""
        return choice_baselines([*map(self._read, train_texts)], labels, [*map(self._read, texts)])

    def candidates(self, texts: Sequence[Any]) -> Candidates:
        """Let each row have its own choices, whose scores are its logits."""
        rows = [self._read(row) for row in texts]
        return Candidates([row.context for row in rows], [row.choices for row in rows], choice_logits)

    def _read(self, row: Any) -> TextRow:
        """Tell the context and the choices of a row as baselines get it."""
        columns = [row] if len(self.text_columns) == 1 else list(row)
        contexts, rest = columns[: len(self.context_columns)], columns[len(self.context_columns) :]
        choices = rest[0] if isinstance(self.choices, str) else [text for text in rest if text and text.strip()]
        return TextRow(" ".join(contexts), list(choices))


def _flat(raw: np.ndarray) -> np.ndarray:
    """Return logits of choices [n, S], of outputs [n, S, 1] or what has been made so."""
    return raw[..., 0] if raw.ndim == 3 else raw
