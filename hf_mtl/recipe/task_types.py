"""What is said of a task type that there is not."""

from collections.abc import Mapping

from hf_mtl.errors import Mistake, known
from hf_mtl.plain import describe
from hf_mtl.tasks import TASK_TYPES

_SAME = {
    "classification": "sequence_classification",
    "text_classification": "sequence_classification",
    "single_label_classification": "sequence_classification",
    "sequence_regression": "regression",
    "text_regression": "regression",
}
"""Other libraries' names of types that there are."""

# By a word in their names, with what comes near them.
_UNSUPPORTED: Mapping[str, str] = {
    "multi_label": "One sequence_classification for each label comes near it.",
    "multilabel": "One sequence_classification for each label comes near it.",
    "ordinal": "A regression on the ranks comes near it.",
    "token": "",
    "ner": "",
    "tagging": "",
    "span": "",
    "question_answering": "",
    "multiple_choice": "",
    "generation": "",
    "seq2seq": "",
    "summarization": "",
    "translation": "",
    "language_model": "",
}


def unknown_type(kind: object, key: str) -> Mistake:
    """The mistake of a task without a type, or with one that there is not.

    Args:
        kind: What was given.
        key: Dotted key of the type.
    """
    if kind is None:
        return Mistake(key, "missing", known(TASK_TYPES, ""))
    if not isinstance(kind, str):
        return Mistake(key, f"unknown task type {describe(kind)}", known(TASK_TYPES, ""))
    name = kind.lower().replace("-", "_").replace(" ", "_")
    for word, instead in _UNSUPPORTED.items():
        if word in (name if len(word) > 3 else name.split("_")) and not _is_supported(word):
            supported = f"Supported: {', '.join(sorted(TASK_TYPES))}. {instead}".strip()
            return Mistake(key, f"the task type {describe(kind)} is not supported", supported)
    meant = _SAME.get(name, name)
    if meant in TASK_TYPES:
        remedy = f"{known(TASK_TYPES, '')} Did you mean '{meant}'?"
        return Mistake(key, f"unknown task type {describe(kind)}", remedy)
    return Mistake(key, f"unknown task type {describe(kind)}", known(TASK_TYPES, kind))


def _is_supported(word: str) -> bool:
    return any(word in name for name in TASK_TYPES)
