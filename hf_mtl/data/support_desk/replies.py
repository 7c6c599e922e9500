"""Messages with two to four replies, of which one fits."""

from random import Random

from hf_mtl.data.support_desk.examples import Example, beside, shuffled
from hf_mtl.data.support_desk.phrases import TOPICS
from hf_mtl.data.support_desk.rows import LABEL_NOISE, with_typos
from hf_mtl.data.support_desk.sentences import draw_kind, pick, topic_text

REPLIES: dict[str, tuple[str, ...]] = {
    "account": (
        "You can choose a new password on our website.",
        "Your account is open again.",
        "We have sent you another code to sign in.",
        "Your profile shows the right name now.",
    ),
    "billing": (
        "We have corrected the invoice.",
        "You will not be charged twice.",
        "The fee is what your contract says.",
        "Your bank has confirmed the payment.",
    ),
    "delivery": (
        "The courier will try again.",
        "Your parcel is at the depot.",
        "The driver did not find the address.",
        "It has been shipped and will arrive soon.",
    ),
    "returns": (
        "You get your money back.",
        "Please send it back with this label.",
        "We will exchange it for another size.",
        "A replacement is free of charge.",
    ),
    "technical": (
        "Please install the latest update.",
        "Turn the device off and on again.",
        "We know of this error and will fix the app.",
        "Please charge the battery with our own cable.",
    ),
}


def draw_replies(rng: Random) -> Example:
    """Draw a message and replies about different topics; one that it rules out is among them."""
    kind = draw_kind(rng)
    meant, other, *rest = shuffled(rng, sorted(TOPICS))
    sentences = [topic_text(rng, kind, meant, other), *beside(rng, {"sentiment": 0.2, "urgency": 0.2})]
    message = with_typos(rng, " ".join(shuffled(rng, sentences)))
    offered = shuffled(rng, [meant, other, *rest[: int(rng.random() * 3)]])
    right = pick(rng, [topic for topic in offered if topic != meant]) if rng.random() < LABEL_NOISE else meant
    replies = [pick(rng, REPLIES[topic]) for topic in offered]
    return Example({"message": message, "replies": replies, "label": offered.index(right)}, message.lower(), kind)
