"""The section ``baselines`` of a recipe: what ``--baselines`` scores beside majority and TF-IDF."""

from string import Formatter
from typing import Any

from pydantic import Field, field_validator

from hf_mtl.errors import Mistake
from hf_mtl.options import parse_partly
from hf_mtl.tasks.fields import Frozen

TEMPLATE = "{text}\n{task}:"
_FIELDS = ("text", "task", "labels")


class LanguageModelSpec(Frozen):
    """A causal language model that is asked without training: which of a row's labels is likeliest after its text."""

    model: str = Field(
        description="Hub id, local folder, or python:package/folder of a causal language model with its tokenizer."
    )
    template: str = Field(
        TEMPLATE,
        description="The prompt: {text} is the row's text, or its two texts in two lines; {task} the task's name; "
        "{labels} all labels, or choices, with commas between. A label follows it after a space. Default: the text, "
        "a line break, the task's name and a colon.",
    )
    max_rows: int | None = Field(
        None, ge=1, description="Ask of at most this many rows of each task (seeded draw). Default: of all."
    )

    @field_validator("template")
    @classmethod
    def _has_the_text(cls, value: str) -> str:
        try:
            fields = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
        except ValueError as error:
            raise ValueError(f"no template: {error}; write {{{{ and }}}} for braces that are text") from None
        if "text" not in fields or not set(fields) <= set(_FIELDS):
            raise ValueError("a text with {text} in it, which may have {task} and {labels} in it too")
        return value

    def prompt(self, text: str, task: str, labels: list[str]) -> str:
        """Return what a label follows.

        Args:
            text: The row's text.
            task: The task's name.
            labels: The labels that the row may have.
        """
        return self.template.format(text=text, task=task, labels=", ".join(labels))


class Spec(Frozen):
    """What ``--baselines`` scores on the model's rows, beside the majority class and TF-IDF with a linear model."""

    llm: LanguageModelSpec | None = Field(
        None,
        description="A causal language model without training, for tasks of one class and of multiple choice: "
        "{model: a Hub id or folder}. The label is predicted whose tokens have the largest mean log probability "
        "after the prompt; the mean, as a sum would favour labels of few tokens.",
    )

    def options(self) -> dict[str, Any]:
        """Return what was set, as plain values."""
        return self.model_dump(exclude_unset=True)


def parse(data: object, mistakes: list[Mistake]) -> Spec:
    """Read the section.

    Args:
        data: The section, as a recipe gives it; None: nothing; one that was read before comes back.
        mistakes: Receives everything that is wrong.

    Returns:
        The section, without the parts that are wrong.
    """
    return parse_partly(Spec, {} if data is None else data, mistakes, "baselines", "{llm: {model: ...}}")
