"""The interface of a kind of inputs for the fuzzer."""

import random
from typing import Protocol


class Kind(Protocol):
    """Inputs of one kind, and what is done with them.

    Attributes:
        count: How many to try where nobody says.
    """

    count: int

    def draw(self, draw: random.Random) -> bytes:
        """Return a mutated input, a function of the draw alone."""

    def attempt(self, data: bytes) -> None:
        """Do with an input what a user would; a `UserError` is an answer, anything else that is raised a failure."""

    def summary(self) -> str:
        """Say how many were taken and how many refused, in one line."""
