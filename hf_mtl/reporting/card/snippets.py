"""How each task is used, in a few lines that run as they are."""

import json
from typing import Any

from hf_mtl.tasks import Task

_HUB_TASKS = {
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForMultipleChoice": "multiple-choice",
}


def loading(repo: str) -> str:
    """Return the lines that load a model; its tokenizer lies beside it.

    Args:
        repo: The repository, or a folder.
    """
    return f"from hf_mtl import MultiTaskModel\n\nmodel = MultiTaskModel.from_pretrained({_quoted(repo)})\n"


def usage(name: str, task: Task) -> str:
    """Return the line that predicts one task for one row, with ``model`` at hand.

    Args:
        name: The task's name.
        task: The task.
    """
    return f"model.predict({_row(task)}, {_quoted(name)})"


def _row(task: Task) -> str:
    """Return a row that the task can read, as Python spells it."""
    columns = task.text_columns
    if task.outputs_per == "window":
        return _quoted(dict(zip(columns, ("Who was it?", "It was Ada, in London."), strict=True)))
    if task.outputs_per == "sequence":
        choices = iter(("one choice", "another", "a third", *(f"choice {place}" for place in range(4, 100))))
        of_choices = [column for column in columns if task.text_key(column) == "choices"]
        row: dict[str, Any] = {column: "what they are read with" for column in columns if column not in of_choices}
        lists = set(task.text_lists)
        values = {
            column: [next(choices) for _ in range(3)] if column in lists else next(choices) for column in of_choices
        }
        return _quoted(row | values)
    return '"a text"' if len(columns) == 1 else '("a text", "and another")'


def hub_task(task: Task) -> str:
    """Return the Hub's name for what a task does, by which models are found."""
    return _HUB_TASKS.get(task.auto_model or "", "text-classification")


def _quoted(value: Any) -> str:
    """Spell a text, or texts by name, as Python does with double quotes."""
    return json.dumps(value, ensure_ascii=False)
