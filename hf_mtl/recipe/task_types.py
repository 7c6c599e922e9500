"""Messages about a task type that does not exist."""

from hf_mtl.errors import Mistake, known
from hf_mtl.plain import describe
from hf_mtl.tasks import task_types

# What other libraries have, by a word in the names of their types.
_UNSUPPORTED = (
    "multi_label",
    "multilabel",
    "ordinal",
    "token",
    "ner",
    "tagging",
    "span",
    "question_answering",
    "generation",
    "seq2seq",
    "summarization",
    "translation",
    "language_model",
)


def unknown_type(kind: object, key: str) -> Mistake:
    """Make the mistake of a task without a type, or with one that there is not.

    Args:
        kind: What was given.
        key: Dotted key of the type.
    """
    types = task_types()
    if kind is None:
        return Mistake(key, "missing", known(types, ""))
    if not isinstance(kind, str):
        return Mistake(key, f"unknown task type {describe(kind)}", known(types, ""))
    name = kind.lower().replace("-", "_").replace(" ", "_")
    named = {_letters(other): own for own, found in types.items() for other in (own, *found.other_names)}
    words = [word for word in _UNSUPPORTED if word in (name if len(word) > 3 else name.split("_"))]
    of_word = (own for word in words for own in types if _letters(word) in _letters(own))
    meant = named.get(_letters(name)) or next(of_word, None)
    if meant is not None:
        remedy = f"{known(types, '')} Did you mean '{meant}'?"
        return Mistake(key, f"unknown task type {describe(kind)}", remedy)
    if words:
        instead = [found.comes_near[word] for word in words for found in types.values() if word in found.comes_near]
        supported = " ".join([f"Supported: {', '.join(types)}.", *instead[:1]])
        return Mistake(key, f"the task type {describe(kind)} is not supported", supported)
    return Mistake(key, f"unknown task type {describe(kind)}", known(types, kind))


def _letters(name: str) -> str:
    """Leave out what may stand between words: a multilabel type is a multi_label type."""
    return name.replace("_", "")
