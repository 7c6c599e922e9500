"""Messages that rate the service with one to five stars, and most of which say when an answer is wanted."""

from random import Random

from hf_mtl.data.support_desk.examples import Example, beside, shuffled
from hf_mtl.data.support_desk.frames import SENTIMENT_FRAMES
from hf_mtl.data.support_desk.phrases import SENTIMENTS
from hf_mtl.data.support_desk.rows import LABEL_NOISE, noisy, with_typos
from hf_mtl.data.support_desk.sentences import Kind, draw_kind, framed, pick, said, two, urgency_sentence

STRONG = ("absolutely {x}", "extremely {x}", "truly {x}", "incredibly {x}")
WEAK = ("{x}", "rather {x}", "quite {x}", "mostly {x}")
DEGREES: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("negative", STRONG),
    2: ("negative", WEAK),
    3: ("neutral", ("{x}",)),
    4: ("positive", WEAK),
    5: ("positive", STRONG),
}
URGENCY_SHARE = 0.7


def draw_stars(rng: Random) -> Example:
    """Draw a message with a rating; one that does not say when an answer is wanted has no urgency."""
    kind, urgency = draw_kind(rng), None
    stars, sentence = _opinion(rng, kind)
    sentences = [sentence, *beside(rng, {"topic": 0.3})]
    if rng.random() < URGENCY_SHARE:
        wish = urgency_sentence(rng, draw_kind(rng))
        sentences.append(wish.text)
        urgency = noisy(rng, "urgency", wish.value)
    text = with_typos(rng, " ".join(shuffled(rng, sentences)))
    if rng.random() < LABEL_NOISE:
        stars = pick(rng, [other for other in DEGREES if other != stars])
    return Example({"text": text, "stars": stars, "urgency": urgency}, text.lower(), kind)


def _opinion(rng: Random, kind: Kind) -> tuple[int, str]:
    """Rate the service; what is ruled out without a degree leaves the other side of the middle, without one."""
    if kind == "negation":
        denied, stars = pick(rng, [("negative", 4), ("positive", 2)])
        return stars, framed(rng, SENTIMENT_FRAMES.negations, pick(rng, SENTIMENTS[denied]))
    stars, other = two(rng, list(DEGREES))
    return stars, said(rng, SENTIMENT_FRAMES, kind, _phrase(rng, stars), _phrase(rng, other))


def _phrase(rng: Random, stars: int) -> str:
    sentiment, degrees = DEGREES[stars]
    return pick(rng, degrees).format(x=pick(rng, SENTIMENTS[sentiment]))
