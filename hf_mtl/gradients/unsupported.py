"""The error of a model whose task gradients a tape cannot form."""


class Unsupported(Exception):
    """The model has something that forming weight gradients per task segment does not know; the message names it."""
