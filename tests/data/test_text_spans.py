from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_mtl import TokenClassification
from hf_mtl.data.text_spans import read_spans, span_notes
from hf_mtl.data.words import words_of
from hf_mtl.errors import DataError

TEXT = "Ann Lee lives in New York."  # words: Ann Lee lives in New York .
TASK = TokenClassification(text="text", label="spans", labels=["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])


def span(start: Any, end: Any, label: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def data(*rows: Any, text: str = TEXT, features: Features | None = None) -> Dataset:
    return Dataset.from_dict({"text": [text] * len(rows), "spans": list(rows)}, features=features)


def tags(task: TokenClassification, rows: Dataset) -> list[str]:
    labels, _ = task.encode("t", "train", rows)
    return [" ".join("?" if tag < 0 else task.output_names[tag] for tag in row) for row in labels]


def test_spans_are_tags_of_the_words_that_they_touch() -> None:
    rows = data([span(17, 25, "LOC"), span(0, 7, "PER")], [], None, [span(0, 3, "PER"), span(4, 7, "PER")])
    assert tags(TASK, rows) == [
        "B-PER I-PER O O B-LOC I-LOC O",
        "O O O O O O O",
        "? ? ? ? ? ? ?",
        "B-PER B-PER O O O O O",
    ]
    assert TASK.encode("t", "train", rows)[1].tolist() == [False, False, True, False]
    long = TokenClassification(text="text", label="spans", scheme="bioes").resolve("t", {"train": rows})
    assert tags(long, rows)[0] == "B-PER E-PER O O B-LOC E-LOC O"
    assert tags(long, rows)[3] == "S-PER S-PER O O O O O"


@pytest.mark.parametrize("label", [Value("string"), ClassLabel(names=["PER", "LOC"])])
def test_spans_may_be_mappings_of_lists_as_sequences_of_mappings_are_kept(label: Any) -> None:
    kept = {"start": List(Value("int32")), "end": List(Value("int32")), "label": List(label)}
    places = [0, 1] if isinstance(label, ClassLabel) else ["PER", "LOC"]
    some, none = span([0, 17], [7, 25], places), span([], [], [])
    rows = data(some, none, None, features=Features({"text": Value("string"), "spans": kept}))
    assert tags(TASK, rows) == ["B-PER I-PER O O B-LOC I-LOC O", "O O O O O O O", "? ? ? ? ? ? ?"]
    assert TASK.encode("t", "train", rows)[1].tolist() == [False, False, True]
    found = TokenClassification(text="text", label="spans").resolve("t", {"train": rows})
    assert found.output_names == TASK.output_names
    with pytest.raises(DataError, match="1 row with other numbers of start, end and label in 'spans': row 1"):
        TASK.encode("t", "train", data(span([0], [3], ["PER"]), span([0, 4], [3], ["PER"])))
    with pytest.raises(DataError, match="the spans in train column 'spans' have no label, only end, start"):
        TASK.encode("t", "train", data({"start": [0], "end": [3]}))


def test_spans_that_cut_a_word_take_it_and_are_counted() -> None:
    rows = data([span(1, 5, "PER")], [span(0, 2, "PER"), span(2, 3, "LOC"), span(18, 22, "LOC")])
    assert tags(TASK, rows) == ["B-PER I-PER O O O O O", "B-PER O O O B-LOC I-LOC O"]
    words = words_of(TASK, "t", "train", rows)
    assert list(span_notes(words, read_spans(rows, "spans", "t", "train"), "train")) == [
        "4 spans of train begin or end inside a word, and the whole word is taken.",
        "1 span of train stood in a word that the span before has, and are lost.",
    ]
    clean = data([span(0, 7, "PER")])
    assert not list(span_notes(words_of(TASK, "t", "train", clean), read_spans(clean, "spans", "t", "x"), "x"))


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([span(0, 99, "PER")], r"1 span outside of the text, such as 0 to 99 \(PER\): row 1, counted"),
        ([span(-1, 3, "PER")], "1 span outside"),
        ([span(None, 3, "PER")], "1 span outside"),
        ([span(3, 3, "PER")], "1 span without a character"),
        ([span(5, 4, "PER")], "1 span without a character"),
        ([span(0, 7, "PER"), span(4, 9, "LOC")], "1 span over another one, such as 4 to 9"),
        ([span(3, 4, "PER")], "1 span over blanks alone"),
        ([span(0, 3, "PRE")], r"unknown labels 'PRE' \(row 1, .*Did you mean 'PER'|Labels: LOC, PER"),
        ([span(0, 3, None)], "unknown labels None"),
    ],
)
def test_wrong_spans_are_mistakes_with_their_rows(spans: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        TASK.encode("t", "train", data([span(0, 3, "PER")], spans))


def test_labels_are_types_or_tags_and_else_found() -> None:
    rows = data([span(0, 3, "PER")], [span(17, 25, "LOC")])
    bare = TokenClassification(text="text", label="spans")
    assert bare.resolve("t", {"train": rows}).labels == TASK.labels
    given = bare.model_copy(update={"labels": ["PER", "LOC", "ORG"]}).resolve("t", {"train": rows})
    assert given.output_names[:3] == ["O", "B-LOC", "I-LOC"]
    assert len(given.output_names) == 7
    assert TASK.resolve("t", {"train": rows}).labels == TASK.labels
    one = TokenClassification(text="text", label="spans", labels=["PER"], scheme="bioes", class_weights="balanced")
    assert not list(one.key_mistakes("t")), "which the data must tell"
    resolved = one.resolve("t", {"train": data([span(0, 3, "PER")])})
    assert resolved.labels == ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    assert [spec.name for spec in resolved.metrics] == ["entity_f1"]
    with pytest.raises(DataError, match=r"tasks\.t\.class_weights: found 2 weights for 5 classes"):
        one.model_copy(update={"class_weights": [1.0, 1.0]}).resolve("t", {"train": rows})
    with pytest.raises(DataError, match=r"tasks\.t\.labels: found \['PER'\], one tag alone"):
        TokenClassification(text="text", label="spans", labels=["PER"]).encode("t", "train", rows)
    with pytest.raises(DataError, match="labels is 3, and spans have names"):
        bare.model_copy(update={"labels": 3}).resolve("t", {"train": rows})
    with pytest.raises(DataError, match=r"do not tell where spans begin.*B-LOC, I-LOC, B-PER, I-PER"):
        bare.model_copy(update={"labels": ["PER", "LOC"]}).encode("t", "train", rows)
    with pytest.raises(DataError, match="no span is in any list"):
        bare.resolve("t", {"train": data([span(0, 3, None)])})
    with pytest.raises(DataError, match="break no scheme"):
        TASK.model_copy(update={"invalid_tags": "repair"}).encode("t", "train", rows)


def test_ids_of_a_class_label_name_spans() -> None:
    fields = {"start": Value("int32"), "end": Value("int32"), "label": ClassLabel(names=["PER", "LOC"])}
    rows = data([span(0, 3, 0), span(17, 20, 1)], features=Features({"text": Value("string"), "spans": List(fields)}))
    assert tags(TASK, rows) == ["B-PER O O O B-LOC O O"]
    assert TokenClassification(text="text", label="spans").resolve("t", {"train": rows}).labels == TASK.labels


@pytest.mark.parametrize(
    ("spans", "said"),
    [([{"start": 0, "end": 1}], "have no label, only end, start"), ([span("0", "1", "PER")], "hold start string")],
)
def test_spans_of_another_form_are_mistakes(spans: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        TASK.encode("t", "train", data(spans))
