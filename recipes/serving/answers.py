"""From the outputs of a task to its answer, by what the graph's metadata say of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from graph import Outputs, Text

Facts = dict[str, Any]
Answer = dict[str, Any]


def answer(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Make an answer of one text's outputs.

    Args:
        text: The text, or the pair.
        outputs: What the graph gives.
        facts: What the metadata say of the task.
    """
    if not np.isfinite(outputs.values).all():
        return {"error": "the outputs are not finite"}
    make = _BY_TYPE.get(facts["type"])
    return make(text, outputs, facts) if make else {"outputs": outputs.values.tolist()}


def _one_class(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the likeliest class; the graph has divided by the calibration temperature."""
    chances = _softmax(outputs.values)
    best = int(chances.argmax())
    return {"label": facts["output_names"][best], "score": float(chances[best])}


def _several_labels(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the labels that are likelier than their thresholds, and the probability of each."""
    chances = 1 / (1 + np.exp(-outputs.values.astype(np.float64)))
    scores = dict(zip(facts["output_names"], chances.tolist(), strict=True))
    above = chances > np.array(facts["thresholds"])
    return {"labels": [name for name, yes in zip(scores, above, strict=True) if yes], "scores": scores}


def _rank(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give a class of an order: output k is the logit of coming beyond class k for who has come to it."""
    beyond = np.cumprod(1 / (1 + np.exp(-outputs.values.astype(np.float64))))
    mean = facts["task"]["predict"] == "mean"
    rank = int(np.floor(beyond.sum() + 0.5)) if mean else int((beyond > 0.5).sum())
    reached, passed = np.concatenate([[1.0], beyond]), np.concatenate([beyond, [0.0]])
    return {"label": facts["labels"][rank], "score": float(reached[rank] - passed[rank])}


def _numbers(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the values, which the graph has brought to their units."""
    return {"values": dict(zip(facts["output_names"], outputs.values.tolist(), strict=True))}


def _words(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the tag of each word by its first token, and where it stands in the text."""
    encoding, first = outputs.encoding, text if isinstance(text, str) else text[0]
    found: dict[int, Answer] = {}
    for token, (word, sequence) in enumerate(zip(encoding.word_ids, encoding.sequence_ids, strict=True)):
        if word is None or sequence != 0:
            continue
        start, end = encoding.offsets[token]
        if word in found:
            found[word] |= {"end": end, "word": first[found[word]["start"] : end]}
            continue
        chances = _softmax(outputs.values[token])
        best = int(chances.argmax())
        place = {"start": start, "end": end, "word": first[start:end]}
        found[word] = {**place, "label": facts["output_names"][best], "score": float(chances[best])}
    return {"words": list(found.values())}


def _span(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the likeliest span of the second text, the context; none where no answer is likelier by the threshold."""
    if isinstance(text, str):
        return {"error": "needs a pair: question and context"}
    encoding = outputs.encoding
    places = [0, *(i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1)]
    starts, ends = (_log_softmax(outputs.values[places, column]) for column in (0, 1))
    spans = starts[1:, None] + ends[None, 1:]
    longest = facts["task"]["max_answer_length"]
    count = len(places) - 1
    ahead = np.arange(count)[None] - np.arange(count)[:, None]
    spans = np.where((ahead >= 0) & (ahead < longest), spans, -np.inf)
    null = float(starts[0] + ends[0])
    if count == 0 or ("null_threshold" in facts and null - spans.max() > facts["null_threshold"]):
        return {"answer": "", "score": float(np.exp(null))}
    begin, end = np.unravel_index(int(spans.argmax()), spans.shape)
    first, last = encoding.offsets[places[1 + begin]][0], encoding.offsets[places[1 + end]][1]
    score = float(np.exp(spans[begin, end]))
    return {"answer": text[1][first:last], "start": first, "end": last, "score": score}


def _choice(text: Text, outputs: Outputs, facts: Facts) -> Answer:
    """Give the logit of a text with one of its choices: ask for each, the highest is chosen."""
    return {"logit": float(outputs.values[0])}


def _softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(_log_softmax(logits))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    moved = logits.astype(np.float64) - logits.max()
    found: np.ndarray = moved - np.log(np.exp(moved).sum())
    return found


_BY_TYPE: dict[str, Callable[[Text, Outputs, Facts], Answer]] = {
    "sequence_classification": _one_class,
    "multi_label_classification": _several_labels,
    "ordinal_classification": _rank,
    "regression": _numbers,
    "token_classification": _words,
    "span_extraction": _span,
    "multiple_choice": _choice,
}
