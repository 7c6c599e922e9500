"""Tasks whose label, or whose text, is more than one value: tags, spans, answers, choices, lists of labels."""

import importlib.util
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from hf_mtl.data.columns import is_text, null_mask
from hf_mtl.drafting.columns import Column, list_facts, of_kind
from hf_mtl.drafting.guess import Guess, Texts, quoted

_CONTEXT = ("context", "passage", "paragraph", "article", "document")
_QUESTION = ("question", "query")
_WORD_LISTS = ("tokens", "words")
_CHOICE_LIST = re.compile(r"^(choices|endings|options|answers|candidates|alternatives|replies|responses)$", re.I)
_CHOICE_FAMILY = re.compile(
    r"^((?:choice|ending|option|sol|solution|answer|alternative|candidate|reply|response)?)[_ ]?(\d|[a-h])$", re.I
)
_CHOICE_LABEL = ("label", "answer", "answerkey", "answer_key", "correct", "gold", "target", "answer_idx", "cop")
_MOST_LABELS = 200
_NEARLY_ALL = 0.9


def nested_guesses(columns: Mapping[str, Column], texts: Texts) -> list[Guess]:
    """Guess the tasks of columns that hold more than a value; empty if there are none.

    Args:
        columns: All columns.
        texts: What the rows are read by.
    """
    found = [*_answers(columns), *_spans(columns, texts), *_tags(columns), *_choices(columns)]
    taken = {name for guess in found for name in guess.columns}
    return [*found, *_label_lists(columns, texts, taken)]


def _answers(columns: Mapping[str, Column]) -> list[Guess]:
    found = of_kind(columns, "answers")
    # Few questions that are asked of many texts look like classes.
    texts = of_kind(columns, "text", "words", "classes")
    if not found or len(texts) < 2:
        return []
    context = _named(texts, _CONTEXT) or max(texts, key=lambda column: column.words)
    rest = [column for column in texts if column is not context]
    question = _named(rest, _QUESTION) or min(rest, key=lambda column: column.words)
    keys = {"type": "span_extraction", "text": [question.name, context.name], "label": found[0].name}
    why = {
        "type": f"'{found[0].name}' says where answers stand in a text",
        "text": f"the question, and the text in which its answer stands ({context.words:.0f} words on average)",
    }
    return [Guess(found[0].name, {**keys, "metrics": ["squad_f1", "squad_exact_match"]}, why)]


def _spans(columns: Mapping[str, Column], texts: Texts) -> list[Guess]:
    if len(texts.columns) == 0:
        return []
    text = texts.columns[0].name
    return [
        Guess(
            column.name,
            {"type": "token_classification", "text": text, "label": column.name, "metrics": _tag_metrics(True)[0]},
            {
                "type": f"'{column.name}' says from which character to which a label holds",
                "metrics": _tag_metrics(True)[1],
            },
        )
        for column in of_kind(columns, "spans")
    ]


def _tags(columns: Mapping[str, Column]) -> list[Guess]:
    """Find lists of words, and lists with a tag for each of them."""
    lists = {column.name: (column, *list_facts(column)) for column in of_kind(columns, "lists")}
    there = {name: ~null_mask(column.values) for name, (column, _, _) in lists.items()}
    words = [
        name for name, (_, _, elements) in lists.items() if is_text(elements.type) and not _CHOICE_LIST.match(name)
    ]
    words.sort(key=lambda name: (name.lower() not in _WORD_LISTS, -len(pc.unique(lists[name][2]))))
    for name in words:
        _, lengths, elements = lists[name]
        kinds = len(pc.unique(elements))
        tags = [
            other
            for other, (_, its, values) in lists.items()
            if other != name and its.max() > 1 and _match(its, lengths, there[other] & there[name])
            if is_text(values.type) or pc.max(values).as_py() is not None
            if len(pc.unique(values)) <= min(_MOST_LABELS, max(3, kinds))
        ]
        if tags:
            return [_of_tags(name, lists[tag][0], columns) for tag in tags]
    return []


def _match(tags: np.ndarray, words: np.ndarray, there: np.ndarray) -> bool:
    """Tell whether nearly all rows that have both have as many tags as words; which have not, loading says."""
    return bool(there.any() and (tags == words)[there].mean() >= _NEARLY_ALL)


def _of_tags(words: str, column: Column, columns: Mapping[str, Column]) -> Guess:
    _, values = list_facts(column)
    found = [str(value) for value in pc.unique(values).drop_null().to_pylist()]
    entities = any(re.match(r"^[BIESLU]-", name) for name in column.names or found)
    metrics, why = _tag_metrics(entities)
    keys = {"type": "token_classification", "text": words, "label": column.name, "metrics": metrics}
    reasons = {"type": f"'{column.name}' has as many elements as '{words}': a tag for each word"}
    guess = Guess(column.name, keys, {**reasons, "metrics": why})
    repaired = guess.with_key("invalid_tags", "repair", "tags break their scheme; they are read as conlleval does")
    if not is_text(values.type) and column.names is None:
        count = int(pc.max(values).as_py()) + 1
        numbered = guess.with_key("labels", count, "the names of the tags are not known; a list of them is better")
        return Guess(guess.name, numbered.keys, numbered.why, (), (guess, repaired))
    return Guess(guess.name, guess.keys, guess.why, (), (repaired,))


def _tag_metrics(entities: bool) -> tuple[list[str], str]:
    if not entities:
        return ["accuracy", "f1_macro"], "the tags have no prefixes such as B- and I-: they are no entities"
    if importlib.util.find_spec("seqeval") is None:
        return ["f1_macro", "accuracy"], "entity_f1 scores whole entities: pip install hf_mtl[tags]"
    return ["entity_f1"], "whole entities, counted strictly"


def _choices(columns: Mapping[str, Column]) -> list[Guess]:
    """Find lists of texts, or columns that are called alike, one of which a label says."""
    choices = _choice_columns(columns)
    if not choices:
        return []
    names = [column.name for column in choices]
    labels = [column for column in of_kind(columns, "truth", "whole", "classes", "words") if column.name not in names]
    label = _named(labels, _CHOICE_LABEL)
    if label is None:
        return []
    rest = [column for column in of_kind(columns, "text", "words") if column.name not in (*names, label.name)]
    context = _named(rest, (*_CONTEXT, "premise", "ctx", "message", "sent1", "startphrase", "goal", "text"))
    question = _named(rest, _QUESTION)
    texts = [column for column in (context, question) if column is not None] or rest[:1]
    text = texts[0].name if len(texts) == 1 else [column.name for column in texts]
    key = names[0] if len(names) == 1 else names
    keys = {"type": "multiple_choice", "text": text, "choices": key, "label": label.name, "metrics": ["accuracy"]}
    what = f"'{names[0]}' holds lists of texts" if len(names) == 1 else f"{quoted(names)} are called alike"
    why = {
        "type": f"{what}, and '{label.name}' says which is right",
        "text": "each choice is read behind it" if texts else "there is no other text: choices are read alone",
    }
    return [Guess(label.name, keys, why)]


def _choice_columns(columns: Mapping[str, Column]) -> list[Column]:
    for column in of_kind(columns, "lists"):
        lengths, elements = list_facts(column)
        if _CHOICE_LIST.match(column.name) and is_text(elements.type) and 2 <= lengths.max() <= 20:
            return [column]
    families: dict[str, list[Column]] = {}
    for column in of_kind(columns, "text", "words", "classes"):
        if found := _CHOICE_FAMILY.match(column.name):
            families.setdefault(found[1].lower(), []).append(column)
    return max((found for found in families.values() if len(found) > 1), key=len, default=[])


def _label_lists(columns: Mapping[str, Column], texts: Texts, taken: set[str]) -> list[Guess]:
    """Find lists of the labels that a text has."""
    if not texts.columns:
        return []
    return [
        guess
        for column in of_kind(columns, "lists")
        if column.name not in taken and (guess := _label_list(column, texts)) is not None
    ]


def _label_list(column: Column, texts: Texts) -> Guess | None:
    lengths, values = list_facts(column)
    if not len(values) or len(pc.unique(values)) > _MOST_LABELS:
        return None
    keys = {"text": texts.key, "label": column.name, "metrics": ["f1_macro"]}
    several = {"type": "multi_label_classification", **keys}
    why = {"type": f"'{column.name}' holds lists of labels", "text": texts.why}
    if (lengths <= 1).all():
        one = {"type": "sequence_classification", **keys}
        single = Guess(column.name, one, {**why, "type": f"the lists of '{column.name}' hold one label each"})
        return Guess(single.name, single.keys, single.why, texts.others, (Guess(column.name, several, why),))
    return Guess(column.name, several, why, texts.others)


def _named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """Return the first column of a name, in the order of the names."""
    lower = {column.name.lower(): column for column in columns}
    return next((lower[name] for name in names if name in lower), None)
