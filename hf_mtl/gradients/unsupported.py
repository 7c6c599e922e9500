"""Why task gradients cannot be formed by segments."""


class Unsupported(Exception):
    """The model has something that forming weight gradients per task segment does not know; says what."""
