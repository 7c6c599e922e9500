"""How each task is used, in a few lines that run as they are."""

import json

from hf_mtl.tasks import Task

_ROW = """\
inputs = tokenizer({texts}, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs, task={name}).logits[{name}]
{read}
"""
_CLASS = "names = model.tasks[{name}].label_names\nnames[model.tasks[{name}].predictions(logits.numpy())[0]]"
_LABELS = """\
names = model.tasks[{name}].label_names
[name for name, holds in zip(names, model.tasks[{name}].predictions(logits.numpy())[0]) if holds]"""
_VALUES = "dict(zip(model.tasks[{name}].output_names, logits[0].tolist()))"
_TOKENS = """\
words = ["some", "words", "of", "a", "text"]
inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs, task={name}).logits[{name}][0]
names, first = model.tasks[{name}].output_names, {{}}
for place, word in enumerate(inputs.word_ids()):  # a word has the tag of its first token
    if word is not None:
        first.setdefault(word, names[int(logits[place].argmax())])
[(word, first[place]) for place, word in enumerate(words) if place in first]
"""
_CHOICES = """\
choices = ["one choice", "another", "a third"]
inputs = tokenizer({context}, padding=True, return_tensors="pt")
with torch.inference_mode():
    logits = model(**{{key: value[None] for key, value in inputs.items()}}, task={name}).logits[{name}]
choices[int(logits.argmax())]
"""
_ANSWERS = """\
from datasets import Dataset
from hf_mtl.inference.answers import answer_questions

rows = Dataset.from_dict({{{question}: ["Who was it?"], {context}: ["It was Ada, in London."]}})
answer_questions(model, {name}, rows, tokenizer)[0][0]  # answer, score, start, end
"""


def loading(repo: str) -> str:
    """Return the lines that load model and tokenizer.

    Args:
        repo: The repository, or a folder.
    """
    return (
        "import torch\n"
        "from transformers import AutoTokenizer\n"
        "from hf_mtl import MultiTaskModel\n\n"
        f"model = MultiTaskModel.from_pretrained({_quoted(repo)}).eval()\n"
        f"tokenizer = AutoTokenizer.from_pretrained({_quoted(repo)})\n"
    )


def usage(name: str, task: Task) -> str:
    """Return the lines that predict one task, with ``model`` and ``tokenizer`` at hand.

    Args:
        name: The task's name.
        task: The task.
    """
    named = {"name": _quoted(name)}
    if task.answers_questions:
        question, context = map(_quoted, task.text_columns)
        return _ANSWERS.format(question=question, context=context, **named)
    if task.outputs_per == "token":
        return _TOKENS.format(**named)
    if task.outputs_per == "sequence":
        alone = len(task.text_columns) == len(task.text_lists)
        return _CHOICES.format(context="choices" if alone else '["the context"] * len(choices), choices', **named)
    texts = '"a text"' if len(task.text_columns) == 1 else '"a text", "and another"'
    return _ROW.format(texts=texts, read=_reading(task).format(**named), **named)


def _reading(task: Task) -> str:
    """Return what makes an answer of the logits of one row."""
    if task.real_valued:
        return _VALUES
    several = task.problem_type == "multi_label_classification"
    return _LABELS if several else _CLASS


def hub_task(task: Task) -> str:
    """Return the Hub's name for what a task does, by which models are found."""
    if task.answers_questions:
        return "question-answering"
    return {"token": "token-classification", "sequence": "multiple-choice"}.get(
        task.outputs_per, "text-classification"
    )


def _quoted(text: str) -> str:
    """Return a text as Python spells it, with double quotes."""
    return json.dumps(text, ensure_ascii=False)
