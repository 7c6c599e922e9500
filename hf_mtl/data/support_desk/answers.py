"""Questions about messages, and where in the message the answer stands, as SQuAD 2 has them."""

from random import Random
from typing import Any

from hf_mtl.data.support_desk.examples import Example, beside, shuffled
from hf_mtl.data.support_desk.facts import FACTS, Told, name_an_agent, tell
from hf_mtl.data.support_desk.rows import with_typos
from hf_mtl.data.support_desk.sentences import SENTENCES, draw_kind, pick

UNANSWERED_SHARE = 0.2
LONG_SHARE = 0.2
LONG_SENTENCES = 10


def draw_answers(rng: Random) -> Example:
    """Draw a message with two to six facts, and ask for one; or, of UNANSWERED_SHARE, for one that it lacks."""
    facts = shuffled(rng, list(FACTS))
    count = 2 + int(rng.random() * 5)
    answered = rng.random() >= UNANSWERED_SHARE
    asked = pick(rng, facts[:count] if answered else facts[count:])
    told = [(fact, tell(rng, fact)) for fact in facts[:count]]
    sentences: list[tuple[str, Told]] = [*told, *(("", sentence) for sentence in _others(rng))]
    context, answers = "", {"text": list[str](), "answer_start": list[int]()}
    for fact, sentence in shuffled(rng, sentences):
        context += " " if context else ""
        if fact == asked:
            answers = {"text": [sentence.value], "answer_start": [len(context) + len(sentence.before)]}
        context += sentence.text
    columns: dict[str, Any] = {"question": pick(rng, FACTS[asked].questions), "context": context, "answers": answers}
    return Example(columns, context.lower(), "plain")


def _others(rng: Random) -> list[Told]:
    """Return sentences without a fact: a few, or with LONG_SHARE so many that small windows do not hold them."""
    texts = beside(rng, {"topic": 0.2, "sentiment": 0.2})
    if rng.random() < LONG_SHARE:
        names = ["topic", "sentiment"] * (LONG_SENTENCES // 2)
        texts += [SENTENCES[name](rng, draw_kind(rng)).text for name in names]
    found = [Told(with_typos(rng, text), "", "") for text in texts]
    return [*found, name_an_agent(rng)] if rng.random() < 0.3 else found
