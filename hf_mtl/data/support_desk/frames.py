"""The constructions of the desk: frames that turn a phrase, or two that contrast, into a sentence.

``{x}`` is a phrase or a contrast, ``{a}`` what is meant, ``{b}`` what is not. `CONTRASTS` serve every task: what one
task teaches an encoder about "{a}, not {b}" is what the others need.
"""

from typing import NamedTuple

CONTRASTS = (
    "{a}, not {b}",
    "not {b} but {a}",
    "not {b}, {a}",
    "{a} and not {b}",
    "{a} instead of {b}",
    "{a} rather than {b}",
    "no longer {b} but {a}",
)


class Frames(NamedTuple):
    """Frames of one task, which make sentences of its phrases.

    Args:
        plain: Take a phrase, which decides.
        contrasts: Take one of `CONTRASTS`.
        changes: Take what was and what is now.
        negations: Take a phrase and rule it out.
    """

    plain: tuple[str, ...]
    contrasts: tuple[str, ...]
    changes: tuple[str, ...]
    negations: tuple[str, ...]


TOPIC_FRAMES = Frames(
    plain=(
        "I have a question about {x}.",
        "Something is wrong with {x}.",
        "Could you look at {x}?",
        "I am writing about {x}.",
        "I need help with {x}.",
        "Please check {x}.",
    ),
    contrasts=("The problem is {x}.", "My concern is {x}.", "The trouble is {x}.", "What I mean is {x}."),
    changes=(
        "At first it was {b}, now it is {a}.",
        "Now it is {a}, at first it was {b}.",
    ),
    negations=(
        "This is not about {x}.",
        "It has nothing to do with {x}.",
        "Forget {x}.",
        "I do not mean {x}.",
        "It is anything but {x}.",
    ),
)
SENTIMENT_FRAMES = Frames(
    plain=(
        "Your service is {x}.",
        "The agent was {x}.",
        "I found the support {x}.",
        "Your answers are {x}.",
        "The chat was {x}.",
    ),
    contrasts=("Your service is {x}.", "The agent was {x}.", "I found the support {x}.", "The chat was {x}."),
    changes=(
        "At first the service was {b}, now it is {a}.",
        "Now the service is {a}, at first it was {b}.",
    ),
    negations=(
        "Your service is not {x}.",
        "The agent was not {x} at all.",
        "The support is anything but {x}.",
        "The chat was never {x}.",
        "I do not find you {x}.",
    ),
)
URGENCY_FRAMES = Frames(
    plain=(
        "I need an answer {x}.",
        "Please reply {x}.",
        "It has to be solved {x}.",
        "Call me back {x}.",
        "I want this done {x}.",
    ),
    contrasts=("I need an answer {x}.", "Please reply {x}.", "Call me back {x}.", "I want this done {x}."),
    changes=(
        "At first I wanted it {b}, now I need it {a}.",
        "Now I need it {a}, at first I wanted it {b}.",
    ),
    negations=(
        "I do not need it {x}.",
        "Please do not reply {x}.",
        "Anything but {x} works.",
        "It should not be {x}.",
        "Never call me {x}.",
    ),
)
