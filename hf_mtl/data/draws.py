"""Training rows that were left out, by the key that asked for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Draw:
    """A key that left training rows of a task out.

    Args:
        by: The key.
        used: Rows that it left.
        found: Rows that there were before.
    """

    by: str
    used: int
    found: int
