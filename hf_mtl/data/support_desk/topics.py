"""Messages about several topics, of which a label tells all."""

from random import Random

from hf_mtl.data.support_desk.examples import Example, beside, shuffled
from hf_mtl.data.support_desk.frames import TOPIC_FRAMES
from hf_mtl.data.support_desk.phrases import TOPICS
from hf_mtl.data.support_desk.rows import LABEL_NOISE, with_typos
from hf_mtl.data.support_desk.sentences import Kind, framed, pick, topic_text

COUNTS = (0, 1, 1, 1, 2, 2, 2, 3)
RULED_OUT_SHARE = 0.6


def draw_topics(rng: Random) -> Example:
    """Draw a message about none to three topics; often it names another one that it is not about."""
    count = pick(rng, COUNTS)
    *meant, other = shuffled(rng, sorted(TOPICS))[: count + 1]
    sentences = [topic_text(rng, "plain", topic, other) for topic in meant]
    kind: Kind = "plain"
    if rng.random() < RULED_OUT_SHARE:
        kind = "order" if meant and rng.random() < 0.5 else "negation"
        if kind == "order":
            sentences[0] = topic_text(rng, "order", meant[0], other)
        else:
            sentences.append(framed(rng, TOPIC_FRAMES.negations, pick(rng, TOPICS[other])))
    sentences += beside(rng, {"sentiment": 0.3, "urgency": 0.2})
    text = with_typos(rng, " ".join(shuffled(rng, sentences or ["Hello."])))
    return Example({"text": text, "topics": _noisy(rng, meant)}, text.lower(), kind)


def _noisy(rng: Random, meant: list[str]) -> list[str]:
    """Add or take away a topic, with LABEL_NOISE."""
    wrong = {pick(rng, sorted(TOPICS))} if rng.random() < LABEL_NOISE else set()
    return sorted(set(meant) ^ wrong)
