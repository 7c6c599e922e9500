"""What customers tell of themselves and their orders: cities, products, numbers and times, each in two roles or more.

The value alone does not say which fact it is: a city is where a customer lives or where a parcel goes, a number an
order or a phone, a name a city or an agent, and Vienna a city or the first word of a sofa.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from hf_mtl.data.support_desk.phrases import URGENCIES
from hf_mtl.data.support_desk.rows import with_typos
from hf_mtl.data.support_desk.sentences import pick

NAMES = ("Florence", "Victoria", "Charlotte", "Sydney", "Austin")  # of cities and of agents
CITIES = (*NAMES, "Oslo", "Vienna", "Milan", "Lisbon", "Dublin", "Prague", "New York", "Cape Town", "San Marino")
AGENTS = (*NAMES, "Anna", "Peter", "Maria", "Omar", "Julia")
MODIFIERS = ("red", "blue", "green", "black", "white", "small", "large", "Oslo", "Vienna", "Milan")
NOUNS = ("kettle", "lamp", "sofa", "toaster", "radio", "blender", "heater", "camera", "printer", "clock")


class Told(NamedTuple):
    """A sentence with a value in it."""

    before: str
    value: str
    after: str

    @property
    def text(self) -> str:
        """The sentence."""
        return self.before + self.value + self.after


class Fact(NamedTuple):
    """What a customer may tell.

    Args:
        about: What its values are.
        frames: Sentences, with ``{x}`` for the value.
        questions: Ask for it.
    """

    about: str
    frames: tuple[str, ...]
    questions: tuple[str, ...]


FACTS: dict[str, Fact] = {
    "home": Fact(
        "city",
        ("I live in {x}.", "My home is in {x}.", "We moved to {x} in spring.", "{x} is where I live."),
        ("Where does the customer live?", "Which city is the home of the customer?"),
    ),
    "destination": Fact(
        "city",
        ("Please send it to {x}.", "The parcel should go to {x}.", "Deliver it to {x}, please.", "Ship it to {x}."),
        ("Where should the parcel go?", "To which city is it to be sent?"),
    ),
    "bought": Fact(
        "product",
        ("I bought the {x}.", "Last week I ordered the {x}.", "The {x} that I have is broken.", "I own the {x}."),
        ("What did the customer buy?", "Which product does the customer have?"),
    ),
    "wanted": Fact(
        "product",
        ("I would like the {x}.", "Please swap it for the {x}.", "Now I want the {x}.", "The {x} would be better."),
        ("What does the customer want now?", "Which product would the customer like?"),
    ),
    "order": Fact(
        "number",
        ("My order number is {x}.", "It is order {x}.", "The order has the number {x}.", "See order {x}, please."),
        ("What is the order number?", "Which order is it?"),
    ),
    "phone": Fact(
        "number",
        ("You can call me at {x}.", "My phone number is {x}.", "Call {x} in the evening.", "My phone is {x}."),
        ("What is the phone number?", "Which number can be called?"),
    ),
    "deadline": Fact(
        "time",
        ("I need it {x}.", "It has to be here {x}.", "I want it {x}, if you can."),
        ("When does the customer need it?", "How soon is it wanted?"),
    ),
}
AGENT_FRAMES = ("I spoke to {x} on the phone.", "{x} promised to help.", "Your agent {x} told me to write.")


def _product(rng: Random) -> str:
    noun = pick(rng, NOUNS)
    return f"{pick(rng, MODIFIERS)} {noun}" if rng.random() < 0.7 else noun


def _number(rng: Random) -> str:
    digits = str(10_000 + int(rng.random() * 90_000))
    return f"{digits[:2]} {digits[2:]}" if rng.random() < 0.3 else digits


_VALUES: dict[str, Callable[[Random], str]] = {
    "city": lambda rng: pick(rng, CITIES),
    "product": _product,
    "number": _number,
    "time": lambda rng: pick(rng, list(URGENCIES)),
}


def tell(rng: Random, name: str) -> Told:
    """Tell one of the facts, with typos in all but its value."""
    fact = FACTS[name]
    return _put(rng, pick(rng, fact.frames), _VALUES[fact.about](rng))


def name_an_agent(rng: Random) -> Told:
    """Tell of an agent, whose name may be that of a city."""
    return _put(rng, pick(rng, AGENT_FRAMES), pick(rng, AGENTS))


def _put(rng: Random, frame: str, value: str) -> Told:
    before, _, after = frame.partition("{x}")
    return Told(with_typos(rng, before), value, with_typos(rng, after))
