"""Messages as words with tags: cities, orders and products, in IOB2."""

import re
from random import Random

from hf_mtl.data.support_desk.examples import Example, beside, shuffled
from hf_mtl.data.support_desk.facts import FACTS, Told, name_an_agent, tell
from hf_mtl.data.support_desk.rows import with_typos

AGENT_SHARE = 0.5
ENTITIES = {"home": "city", "destination": "city", "bought": "product", "wanted": "product", "order": "order"}
TAGS = ["O", *(f"{prefix}-{name}" for name in sorted({*ENTITIES.values()}) for prefix in "BI")]
_WORDS = re.compile(r"[\w'-]+|[^\w\s]")


def draw_entities(rng: Random) -> Example:
    """Draw a message with one to three facts, not all of which are entities; names of agents are none."""
    facts = shuffled(rng, list(FACTS))[: 1 + int(rng.random() * 3)]
    sentences: list[tuple[Told, str | None]] = [(tell(rng, fact), ENTITIES.get(fact)) for fact in facts]
    if rng.random() < AGENT_SHARE:
        sentences.append((name_an_agent(rng), None))
    others = beside(rng, {"topic": 0.2, "sentiment": 0.2})
    sentences += [(Told(with_typos(rng, text), "", ""), None) for text in others]
    tokens, tags = [], []
    for told, entity in shuffled(rng, sentences):
        for part, name in ((told.before, None), (told.value, entity), (told.after, None)):
            words = _WORDS.findall(part)
            tokens += words
            tags += [f"{'I' if place else 'B'}-{name}" if name else "O" for place in range(len(words))]
    return Example({"tokens": tokens, "ner_tags": tags}, " ".join(tokens).lower(), "plain")
